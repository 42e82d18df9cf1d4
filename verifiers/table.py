"""The table: every verifier of the house and every subject that they measure."""

from collections.abc import Mapping

from verifiers.cards import entropy_gap
from verifiers.cards.entropy_gap import ENTROPY_GAP
from verifiers.cards.top_fifth_share import TOP_FIFTH
from verifiers.records import SubjectFacts, Verifier

VERIFIERS: Mapping[str, Verifier] = {verifier.name: verifier for verifier in (ENTROPY_GAP, TOP_FIFTH)}

SUBJECTS: Mapping[str, SubjectFacts] = {**entropy_gap.SUBJECTS}
