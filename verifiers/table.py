"""The table: every verifier of the house and every subject that they measure."""

from collections.abc import Mapping

from verifiers.cards import collapse_fit, entropy_gap, forking_share
from verifiers.cards.collapse_fit import COLLAPSE_FIT
from verifiers.cards.entropy_gap import ENTROPY_GAP
from verifiers.cards.forking_share import FORKING_SHARE
from verifiers.cards.top_fifth_share import TOP_FIFTH
from verifiers.records import SubjectFacts, Verifier

VERIFIERS: Mapping[str, Verifier] = {
    verifier.name: verifier for verifier in (ENTROPY_GAP, FORKING_SHARE, COLLAPSE_FIT, TOP_FIFTH)
}

SUBJECTS: Mapping[str, SubjectFacts] = {**entropy_gap.SUBJECTS, **forking_share.SUBJECTS, **collapse_fit.SUBJECTS}
