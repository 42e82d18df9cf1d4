"""How far a subject is from what a claim speaks of."""

from claims.contract import Regime
from verifiers.measurement import Value
from verifiers.registry import SubjectFacts, subjects


class Distance(Value):
    """Whether a subject lies inside a claim's regime, and if not, every way in which it does not."""

    differences: tuple[str, ...]

    @property
    def is_inside(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        return "; ".join(self.differences) or "inside the regime"


def distance(regime: Regime, subject: SubjectFacts) -> Distance:
    """Compare size, domain and stage; the words of a regime are compared as written, so a near miss is a difference."""
    differences = []
    low, high = regime.size.low, regime.size.high
    if low is not None and subject.parameters < low:
        differences.append(f"{count(subject.parameters)} parameters against {count(low)} or more")
    elif high is not None and subject.parameters > high:
        differences.append(f"{count(subject.parameters)} parameters against at most {count(high)}")
    if subject.domain.casefold() != regime.domain.casefold():
        differences.append(f"{subject.domain} against {regime.domain}")
    if subject.stage.casefold() != regime.stage.casefold():
        differences.append(f"{subject.stage} against {regime.stage}")
    return Distance(differences=tuple(differences))


def differences(regime: Regime, subject: str) -> tuple[str, ...]:
    """Every way in which the subject of that name lies outside REGIME."""
    facts = subjects().get(subject)
    return distance(regime, facts).differences if facts else ("a subject that is not known here",)


def count(parameters: float) -> str:
    """A number of parameters as people say it: 0.02 M, 7 B."""
    for size, letter in ((1e9, "B"), (1e6, "M")):
        if parameters >= size:
            return f"{parameters / size:.3g} {letter}"
    return f"{parameters / 1e6:.1g} M" if parameters >= 1e3 else f"{parameters:g}"
