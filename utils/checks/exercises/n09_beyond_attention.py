"""Exercises of notebook 09: mixture of experts, Perceiver IO, retention. Their cases and properties are in `cases_09.py` and `retention_09.py`."""

from __future__ import annotations

from utils.checks.exercises import cases_09 as cases
from utils.checks.exercises import retention_09 as retention
from utils.checks.spec import Exercise, Property

NOTEBOOK = "09_beyond_attention"
MOE, PERCEIVER, RETENTION = "solutions.moe", "solutions.perceiver", "solutions.retention"
STAND_INS = "utils.stand_ins.beyond_attention"

NO_FUTURE = Property(
    "never sees the future",
    "Your output at a position changes when later positions change. Position n may use positions 1 to n only.",
    retention.never_sees_the_future,
)
GOES_ON = Property(
    "goes on from the state",
    "A sequence in two parts, the second from the state that the first left, gives another output than the whole in one go: "
    "the state that you start from, carry along or return is not the right one.",
    retention.goes_on_from_the_state,
)

EXERCISES = [
    Exercise(
        name="top_k_router",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=10,
        reference=f"{MOE}:top_k_router",
        stand_in=f"{STAND_INS}:top_k_router",
        outputs=("weights", "experts"),
        cases=cases.router_cases,
        properties=(
            Property(
                "largest first",
                "The weights of a token should fall from left to right: its first choice first.",
                cases.largest_first,
            ),
            Property(
                "renormalised weights sum to one",
                "With renormalize=True the k weights of a token should sum to 1, and yours do not.",
                cases.sums_to_one,
            ),
            Property(
                "the others keep their part",
                "Without renormalize the weights are probabilities among all experts, so the k chosen ones sum to less than 1, "
                "and yours do not.",
                cases.leaves_something,
            ),
        ),
    ),
    Exercise(
        name="keep_within_capacity",
        notebook=NOTEBOOK,
        points=4,
        stars=4,
        minutes=20,
        reference=f"{MOE}:keep_within_capacity",
        stand_in=f"{STAND_INS}:keep_within_capacity",
        cases=cases.capacity_cases,
        gradients=False,
        properties=(
            Property(
                "nobody is overfull",
                "One of your experts keeps more tokens than it has places.",
                cases.nobody_overfull,
            ),
            Property(
                "no place is wasted",
                "One of your experts turns tokens away while it still has a free place.",
                cases.no_place_wasted,
            ),
            Property(
                "first choices first",
                "One of your experts keeps a token's second (or third) choice and turns away somebody's earlier choice.",
                cases.first_choices_first,
            ),
        ),
    ),
    Exercise(
        name="load_balancing_loss",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=12,
        reference=f"{MOE}:load_balancing_loss",
        stand_in=f"{STAND_INS}:load_balancing_loss",
        cases=cases.balance_cases,
        properties=(
            Property(
                "equal scores give 1",
                "With equal scores for all experts (P uniform) the loss should be 1, whatever f is, and yours is not.",
                cases.equal_scores_give_one,
            ),
        ),
    ),
    Exercise(
        name="MoELayer",
        notebook=NOTEBOOK,
        points=4,
        stars=4,
        minutes=25,
        kind="module",
        reference=f"{MOE}:MoELayer",
        outputs=("output", "loss"),
        cases=cases.moe_cases,
        uses=("top_k_router", "keep_within_capacity", "load_balancing_loss"),
        properties=(
            Property(
                "one expert is that expert",
                "With a single expert and room for all, the layer should give exactly what this expert gives, and yours does not.",
                cases.one_is_that_expert,
            ),
            Property(
                "dropped tokens are zero",
                "A token that found no place at any expert should come out as zeros (the residual connection around the layer "
                "carries it past), and yours does not.",
                cases.dropped_are_zero,
            ),
        ),
    ),
    Exercise(
        name="CrossAttention",
        notebook=NOTEBOOK,
        points=3,
        stars=3,
        minutes=15,
        kind="module",
        reference=f"{PERCEIVER}:CrossAttention",
        stand_in=f"{STAND_INS}:CrossAttention",
        cases=cases.cross_cases,
        observe=cases.observe_cross,
        properties=(
            Property(
                "queries are alone",
                "A query asked alone should find what it finds among others: queries look at the inputs, not at each other.",
                cases.queries_are_alone,
            ),
            Property(
                "hidden stays hidden",
                "Your output changes when only inputs change that the mask hides.",
                cases.hidden_stay_hidden,
            ),
        ),
    ),
    Exercise(
        name="PerceiverIO",
        notebook=NOTEBOOK,
        points=4,
        stars=3,
        minutes=20,
        kind="module",
        reference=f"{PERCEIVER}:PerceiverIO",
        cases=cases.perceiver_cases,
        observe=cases.observe_perceiver,
        uses=("CrossAttention", "EncoderLayer"),
        properties=(
            Property(
                "inputs are a set",
                "Your latents change when the same inputs come in another order.",
                cases.inputs_are_a_set,
            ),
            Property(
                "hidden inputs change no latent",
                "Your latents change when only inputs change that the mask hides.",
                cases.hidden_change_no_latent,
            ),
            Property(
                "answers don't depend on what else is asked",
                "The answer to a query should not depend on which other queries are asked of the same latents.",
                cases.first_answer_alone,
            ),
            Property(
                "other queries, other answers",
                "Two different sets of queries get the same answers from your latents: the queries are not used.",
                cases.other_queries_other_answers,
            ),
        ),
    ),
    Exercise(
        name="decay_matrix",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=12,
        reference=f"{RETENTION}:decay_matrix",
        stand_in=f"{STAND_INS}:decay_matrix",
        cases=retention.decay_cases,
        properties=(
            Property(
                "the future is zero",
                "Above the diagonal (key later than query) every entry should be exactly 0, and yours are not.",
                retention.future_is_zero,
            ),
            Property(
                "a position sees itself in full",
                "On the diagonal every entry should be exactly 1: a position's own key has not faded at all.",
                retention.itself_is_one,
            ),
        ),
    ),
    Exercise(
        name="retention_parallel",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=10,
        reference=f"{RETENTION}:retention_parallel",
        stand_in=f"{STAND_INS}:retention_parallel",
        cases=retention.parallel_cases,
        observe=retention.observe_retention,
        uses=("decay_matrix",),
        properties=(NO_FUTURE,),
    ),
    Exercise(
        name="retention_recurrent",
        notebook=NOTEBOOK,
        points=3,
        stars=3,
        minutes=15,
        reference=f"{RETENTION}:retention_recurrent",
        outputs=("output", "state"),
        cases=retention.recurrent_cases,
        observe=retention.observe_retention,
        properties=(NO_FUTURE, GOES_ON),
    ),
    Exercise(
        name="retention_chunkwise",
        notebook=NOTEBOOK,
        points=4,
        stars=5,
        minutes=25,
        reference=f"{RETENTION}:retention_chunkwise",
        outputs=("output", "state"),
        cases=retention.chunk_cases,
        observe=retention.observe_retention,
        uses=("retention_parallel",),
        properties=(NO_FUTURE, GOES_ON),
    ),
]
