"""Words that say how a sentence stands to a claim: against it, within limits, further on, in support; and which kinds of
model, training, domain and size a text speaks of. Plain lists, to be read and argued with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from claims.papers.triage_text import holds, stems

Phrases = frozenset[tuple[str, ...]]


def phrases(text: str) -> Phrases:
    """The phrases of a comma-separated list, each by its stems."""
    return frozenset(stems(phrase) for phrase in text.split(","))


AGAINST = phrases(
    "contrary,opposite,challenge,contradict,dispute,disprove,refute,insufficient,unreliable,artefact,artifact,disappear,"
    "no relation,no effect,no gain,no evidence,not reproduce,does not,do not,did not,is not,cannot,instead,weaker than,"
    "overestimate,overstated,misleading,conflict,at chance,as well as random,random,proves nothing,does not cause,spurious,"
    "not the cause,not cause,does not improve,by itself,even without,speaks against,less than,worse,deteriorate,harm,shrink"
)
WITHIN_LIMITS = phrases(
    "only,only if,only when,only where,if,when,unless,depend,condition,provided,confine,limited to,in part,partly,most of,"
    "mostly,except,some,not all,varies,whereas,while,under,once,where,set by,smaller,restricted,special case,sometimes,"
    "not others,certain,regime,stage,outside,as far as,account for,explain,but"
)
FURTHER = phrases(
    "we propose,we introduce,we present,we train,we develop,new method,schedule,penalty,extend,generalise,generalize,"
    "algorithm,framework,objective,metric,also,build on,beyond,combine,we add,we use,mitigate,prevent,we weigh,optimise"
)
IN_SUPPORT = phrases(
    "we show,we find,confirm,replicate,consistent,in line with,exceed,demonstrate,prove,across,establish,evidence,indeed,"
    "same,reproduce,agree,we observe,reveal"
)

# Facets of a regime: what a text says of each, by the words that give it away. Words are compared by their stems, so none
# stands here whose stem has another meaning in this field: "validator" would be found in every validation set, "expert"
# in every mixture of experts, "AIME" in "we aim".
FACETS: Mapping[str, Mapping[str, Phrases]] = {
    "kind of model": {
        "language models": phrases(
            "language model,llm,chat model,transformer,chain of thought,token,reasoning model,prompt,base model,text"
        ),
        "images and sound": phrases("image,pixel,camera,video,convolutional,codec,audio,speech recognition"),
        "robots and games": phrases("robot,locomotion,quadruped,humanoid,atari,chess,board game,card game,bandit"),
        "people": phrases("participant,respondent,volunteer,user study,patient,clinical,cohort,juror"),
        "nature": phrases(
            "protein,bird,species,weather,precipitation,steel,molecule,thin film,galaxy,quantum,gene,orbit,climate"
        ),
        "money and machines": phrases("bank,blockchain,crypto,lending,market,network traffic,database,sensor"),
    },
    "training": {
        "reinforcement learning": phrases("reinforcement,rl,grpo,ppo,rlvr,policy,reward,rlhf"),
        "post-training": phrases(
            "post training,post trained,instruction tuned,instruct,aligned,alignment,preference,chat"
        ),
        "supervised fine-tuning": phrases("fine tuning,fine tune,supervised,sft,distil,distilled"),
        "pretraining": phrases("pretrained,pretraining,pre training,base model,from scratch"),
        "none, at inference": phrases("inference,decoding,sampling,test time,steering,voting"),
    },
    "domain": {
        "mathematics and code": phrases("mathematics,math,gsm8k,code,coding,reasoning,verifiable"),
        "open-ended text": phrases("open ended,chat,creative,writing,dialogue,story,stories,open questions,judge"),
        "questions of fact": phrases("question answering,hallucination,fact,confabulation,belief,truth,calibration"),
        "synthetic worlds": phrases("synthetic,toy,tiny,controlled world,laboratory"),
    },
    "size": {
        "large": phrases("7b,8b,14b,32b,70b,72b,billion,3b,1b"),
        "tiny": phrases("tiny,toy,hundred thousand parameters,two layer,small transformers,small network,small policy"),
    },
}
UNSAID = 0.5  # what a facet counts where one side says nothing of it


def facets_of(words: Sequence[str]) -> dict[str, frozenset[str]]:
    """What a text, given as stems, says of each facet."""
    return {
        facet: frozenset(value for value, phrases in values.items() if holds(words, phrases))
        for facet, values in FACETS.items()
    }


def regime(claim: Mapping[str, frozenset[str]], paper: Mapping[str, frozenset[str]]) -> float:
    """How far a paper speaks of the kind of model, training, domain and size that a claim speaks of: over the facets
    that the claim names, 1 for the same, 0 for another, a half where the paper says nothing.
    """
    asked = [(values, paper[facet]) for facet, values in claim.items() if values]
    if not asked:
        return UNSAID
    met = [UNSAID if not theirs else 1.0 if ours & theirs else 0.0 for ours, theirs in asked]
    return sum(met) / len(met)


# The lists by the name of the feature that each makes.
CUES: Mapping[str, Phrases] = {
    "against": AGAINST,
    "within_limits": WITHIN_LIMITS,
    "further": FURTHER,
    "in_support": IN_SUPPORT,
}
MOST_CUES = 2  # of one list that count in one sentence


def cues(sentence: Sequence[str]) -> tuple[float, ...]:
    """How many phrases of each list stand in a sentence, given as stems, in the order of CUES."""
    return tuple(float(min(MOST_CUES, holds(sentence, said))) for said in CUES.values())


def regime_words(contract: Mapping[str, Any] | None) -> str:
    """What a contract says of its regime, as words."""
    said = (contract or {}).get("regime")
    return " ".join(str(said.get(key, "")) for key in ("stage", "domain")) if isinstance(said, Mapping) else ""
