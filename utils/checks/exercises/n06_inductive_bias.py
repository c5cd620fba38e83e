"""Exercises of notebook 06: what a model assumes about images, measured; a residual network; fine-tuning."""

from __future__ import annotations

from utils.checks.exercises import cases_06 as c
from utils.checks.spec import Exercise, Property

NOTEBOOK = "06_inductive_bias"

EXERCISES = [
    Exercise(
        name="translation_equivariance_error",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=15,
        reference="solutions.inductive_bias:translation_equivariance_error",
        cases=c.equivariance_cases,
        observe=c.observe_equivariance,
        gradients=False,
        properties=(
            Property(
                "no border, no error",
                "A convolution that sees the opposite side beyond the border commutes with every cyclic shift, so its error "
                "should be 0 up to rounding, and yours is not. Do you compare the two outputs position by position, after "
                "moving the second one?",
                c.no_border_no_error,
            ),
        ),
    ),
    Exercise(
        name="BasicBlock",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=15,
        kind="module",
        reference="solutions.resnet:BasicBlock",
        stand_in="utils.stand_ins.inductive_bias:BasicBlock",
        cases=c.block_cases,
    ),
    Exercise(
        name="ResNet",
        notebook=NOTEBOOK,
        points=4,
        stars=3,
        minutes=20,
        kind="module",
        reference="solutions.resnet:ResNet",
        stand_in="utils.stand_ins.inductive_bias:ResNet",
        uses=("BasicBlock",),
        cases=c.resnet_cases,
    ),
    Exercise(
        name="shift_consistency",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=15,
        reference="solutions.inductive_bias:shift_consistency",
        stand_in="utils.stand_ins.inductive_bias:shift_consistency",
        cases=c.consistency_cases,
        observe=c.observe_consistency,
        gradients=False,
        properties=(
            Property(
                "evaluation mode",
                "Your model is called in training mode, where dropout and batch norm change its answers from call to call. The "
                "lines above yours have put it into evaluation mode; leave it there.",
                lambda case, seen: not seen["called_in_training"],
            ),
            Property(
                "mode restored",
                "The model came in training mode and is left in evaluation mode: you return before the last lines can put it "
                "back. Give your result the name `consistency`, and let them return it.",
                c.mode_is_restored,
            ),
            Property(
                "a shift of 0 changes nothing",
                "With a shift of 0 pixels every image is where it was, so the first number must be 1, and yours is not.",
                c.starts_at_one,
            ),
        ),
    ),
    Exercise(
        name="permute_pixels",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference="solutions.inductive_bias:permute_pixels",
        stand_in="utils.stand_ins.inductive_bias:permute_pixels",
        cases=c.permutation_cases,
        properties=(
            Property(
                "pixels stay whole",
                "Reordering moves whole pixels: every image must still have the same pixels, each with all its channels, and in "
                "yours that is not so.",
                c.pixels_stay_whole,
            ),
        ),
    ),
    Exercise(
        name="mean_attention_distance",
        notebook=NOTEBOOK,
        points=4,
        stars=3,
        minutes=20,
        reference="solutions.inductive_bias:mean_attention_distance",
        stand_in="utils.stand_ins.inductive_bias:mean_attention_distance",
        cases=c.distance_cases,
        gradients=False,
        properties=(
            Property(
                "no farther than the diagonal",
                "A mean distance can't be negative or longer than the diagonal of the grid, and yours is.",
                c.a_number_per_matrix,
            ),
        ),
    ),
    Exercise(
        name="fine_tune",
        notebook=NOTEBOOK,
        points=4,
        stars=3,
        minutes=20,
        reference="solutions.inductive_bias:fine_tune",
        stand_in="utils.stand_ins.inductive_bias:fine_tune",
        outputs=("groups",),
        cases=c.fine_tune_cases,
        observe=c.observe_fine_tune,
        gradients=False,
        properties=(
            Property(
                "the body keeps its weights",
                "Weights outside the head have changed. Fine-tuning starts from the pretrained ones: only the head is new.",
                lambda case, seen: seen["body_unchanged"],
            ),
            Property(
                "nothing is frozen",
                "Some parameters no longer require a gradient. A layer's learning rate says how fast it learns; freezing it is "
                "something else.",
                lambda case, seen: seen["trainable"].all(),
            ),
            Property(
                "the head learns fastest",
                "With a decay of at most 1 no layer may learn faster than the head, and in yours one does.",
                c.rates_never_rise_towards_the_input,
            ),
        ),
    ),
]
