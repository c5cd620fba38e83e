"""Notebook 08: MLP-Mixer, pooling as a token mixer, the MetaFormer block, PoolFormer."""

from __future__ import annotations

from utils.checks.exercises import cases_08 as on
from utils.checks.spec import Exercise, Property

NOTEBOOK = "08_mixer_poolformer"
MIXER, METAFORMER = "solutions.mixer", "solutions.metaformer"
STAND_INS = "utils.stand_ins.metaformer"
ALONE = Property(
    "an image alone or in company",
    "Your output for an image depends on the other images of the batch. Nothing in this network may mix images: look at the "
    "axes that you normalise and average over.",
    on.alone_or_in_company,
)

EXERCISES = [
    Exercise(
        name="MixerBlock",
        notebook=NOTEBOOK,
        kind="module",
        points=4,
        stars=2,
        minutes=20,
        reference=f"{MIXER}:MixerBlock",
        stand_in=f"{STAND_INS}:MixerBlock",
        cases=on.mixer_cases,
        observe=on.observe_mixer,
        properties=(
            Property(
                "channel mixing stays within a token",
                "With the token MLP switched off, changing one token changes the output at another one: your channel MLP "
                "moves information between tokens.",
                on.channel_mixing_stays,
            ),
            Property(
                "token mixing reaches the other tokens",
                "With the channel MLP switched off, changing one token leaves all others as they were: your token MLP does "
                "not move information between tokens. Along which axis does it work?",
                on.token_mixing_reaches,
            ),
            Property(
                "token mixing stays within a channel",
                "Your token MLP moves information between channels. It should see one channel at a time, as a row of N "
                "numbers, one from each token.",
                on.token_mixing_stays,
            ),
        ),
    ),
    Exercise(
        name="MLPMixer",
        notebook=NOTEBOOK,
        kind="module",
        points=4,
        stars=2,
        minutes=15,
        reference=f"{MIXER}:MLPMixer",
        stand_in=f"{STAND_INS}:MLPMixer",
        uses=("MixerBlock",),
        cases=on.mlp_mixer_cases,
        observe=on.observe_mlp_mixer,
        properties=(
            ALONE,
            Property(
                "the head reads the mean token",
                "With blocks that do nothing, your output depends on the order of the patches. The head should read the mean "
                "over all tokens.",
                on.mean_over_tokens,
            ),
        ),
    ),
    Exercise(
        name="Pooling",
        notebook=NOTEBOOK,
        kind="module",
        points=2,
        stars=1,
        minutes=10,
        reference=f"{METAFORMER}:Pooling",
        stand_in=f"{STAND_INS}:Pooling",
        cases=on.pooling_cases,
        properties=(
            Property(
                "nothing to say about a constant map",
                "On a constant map every mean is the value itself, and mean minus input is zero. Yours is not: is the input "
                "subtracted, and is the mean a mean?",
                on.constant_is_zero_inside,
            ),
            Property(
                "borders included",
                "On a constant map your output is zero inside and not at the border: there you divide by more positions "
                "than lie inside the map, so the padding is counted.",
                on.constant_is_zero,
            ),
            Property(
                "only neighbours",
                "A single bright position has an effect farther away than pool_size // 2.",
                on.only_neighbours,
            ),
            Property(
                "one is silent",
                "A neighbourhood of one position is the position itself: mean minus input should be zero there.",
                on.one_is_silent,
            ),
        ),
    ),
    Exercise(
        name="MetaFormerBlock",
        notebook=NOTEBOOK,
        kind="module",
        points=4,
        stars=3,
        minutes=20,
        reference=f"{METAFORMER}:MetaFormerBlock",
        stand_in=f"{STAND_INS}:MetaFormerBlock",
        cases=on.block_cases,
        observe=on.observe_block,
        properties=(
            Property(
                "scales start as asked",
                "At the start all entries of layer_scale_1 and layer_scale_2 should have the value of the argument "
                "`layer_scale`.",
                on.starts_small,
            ),
            Property(
                "silent branches leave x alone",
                "With both layer scales at zero your block should return its input unchanged: the scales belong on the "
                "branches, and the sum is never scaled or normalised.",
                on.silent_is_identity,
            ),
            Property(
                "one group",
                "Your norm1 should normalise over all channels and positions of an image together: `nn.GroupNorm` with one "
                "group.",
                on.norm_over_the_image,
            ),
        ),
    ),
    Exercise(
        name="PoolFormer",
        notebook=NOTEBOOK,
        kind="module",
        points=5,
        stars=3,
        minutes=25,
        reference=f"{METAFORMER}:PoolFormer",
        stand_in=f"{STAND_INS}:PoolFormer",
        uses=("Pooling", "MetaFormerBlock"),
        cases=on.poolformer_cases,
        observe=on.observe_poolformer,
        weights=on.poolformer_weights,
        properties=(
            Property(
                "sizes of the maps",
                "Your last map has the wrong size: there is one patch embedding before each stage, the first with the "
                "stem's kernel, stride and padding, the others with (3, 2, 1).",
                on.maps_halve,
            ),
            ALONE,
            Property(
                "stochastic depth grows",
                "The rates of stochastic depth should grow from 0 at the first block of the network to `drop_path` at its "
                "last one: take `next(rates)` once per block.",
                on.depth_grows,
            ),
        ),
    ),
]
