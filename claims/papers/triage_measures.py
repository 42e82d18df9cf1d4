"""What a text measures and by which experiment: the quantities and procedures of the field, each by the words that give
it away, so that "calibrated", "overconfident" and "Brier" meet. A plain list, to be read, argued with and added to.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

from claims.papers.triage_cues import Phrases, phrases
from claims.papers.triage_text import holds

_WORDS: Mapping[str, str] = {
    # quantities
    "policy entropy": "policy entropy,entropy collapse,token entropy,entropy bonus,entropy control,entropy minimisation,"
    "minimising entropy,entropy dynamics,entropy regularisation,lowering entropy,entropy schedule,entropy falls,"
    "entropy in,entropy of,entropy law,output entropy,next token entropy,low entropy,high entropy",
    "semantic entropy": "semantic entropy,semantic clusters,meanings,cluster,clusters of meaning,confabulation",
    "stated confidence": "confidence,calibration,calibrated,overconfident,uncertain,uncertainty,brier,proper scoring,abstain,"
    "verbalise,answer distribution,confident",
    "truthfulness": "truth,belief,believe,deceptive,mislead,sophistry,honest,hallucination,false positive,human evaluators",
    "diversity": "diversity,diverse,varied,variety,breadth,distinct,strategies,novelty,creative,creativity,attractor",
    "reach at many samples": "pass k,any number of samples,number of attempts,often enough,large k,best of k,many samples,"
    "sampled often,boundary,solvable",
    "covariance": "covariance,clip,clipping,advantage,log probability,importance ratio,likelihood",
    "law and forecast": "law,curve,fit,fitted,exp,exponential,coefficient,foretell,forecast,predict,straight line,monotone,"
    "correlate,relation,a exp,scaling",
    "geometry of hidden states": "hidden state,representation,effective rank,geometry,spectrum,eigenvalue,rank,subspace,"
    "entangled,fractured,latent,feature,activation,steering,residual",
    "reasoning graphs": "cycle,loop,graph,node,topology,small world,diameter",
    "own and foreign text": "own text,foreign text,own output,own generation,self preference,self recognition,prefill,"
    "prefilled,on policy,off policy,wrote itself,own answer,another model,twin,authorship,own continuation",
    "surprise": "surprise,surprising,unlikely,perplexity,familiarity",
    "formats": "format,code like,natural language,json,template",
    "forks": "fork,forking,high entropy token,decision,minority of tokens,fifth of tokens,highest entropy,pivotal",
    "length of thinking": "overthinking,think longer,thinking longer,longer reasoning,length of reasoning,long thinking,"
    "thinking more,additional thinking,length",
    # procedures
    "reward design": "reward,spurious reward,random reward,binary reward,verifiable reward,scoring rule,shaping,hindsight",
    "votes and budgets": "majority voting,majority vote,best of n,inference compute,test time,budget,parallel sampling,"
    "sequential revision,sampling,compute,verifier",
    "elicitation": "elicit,unleash,steering,latent ability,latent reasoning,activate,switch on,recover,minimal training,"
    "already,pretraining has,base model",
    "stages and phases": "phase,stage,epoch,early,late,planning,execution,strategic,plateau,step",
    "curriculum": "curriculum,task order,order of tasks,ordering,backward transfer,joint training,structured",
    "supervised fine-tuning": "supervised,fine tuning,sft,demonstration,distillation",
    "preference training": "human feedback,rlhf,preference,alignment,aligned,rater,evaluator",
    "autonomous research": "autonomous,agent,research,scalar metric,version control,experiment loop,modular",
}


@cache
def _measures() -> Mapping[str, Phrases]:
    """The lists by stems."""
    return {name: phrases(words) for name, words in _WORDS.items()}


def measures_of(words: Sequence[str]) -> dict[str, float]:
    """How plainly a text, given as stems, speaks of each quantity and procedure: 1 for two of its words, less for one."""
    counts = {name: holds(words, said) for name, said in _measures().items()}
    return {name: min(1.0, 0.6 * count) for name, count in counts.items() if count}


def alike(claim: Mapping[str, float], paper: Mapping[str, float]) -> float:
    """The cosine between what a claim measures and what a paper measures: 1 for the same things, 0 for none in common or
    where one of them names nothing.
    """
    shared = sum(weight * paper.get(name, 0.0) for name, weight in claim.items())
    return shared / (_length(claim) * _length(paper)) if shared else 0.0


def _length(weights: Mapping[str, float]) -> float:
    return math.sqrt(sum(weight**2 for weight in weights.values()))
