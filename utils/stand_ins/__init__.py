"""Stand-ins: an exercise's result from the library's modules, for whoever needs it while the exercise is not solved yet.

A stand-in has the signature, the parameter names, the values and the errors of its exercise, and stands on PyTorch's own modules and
kernels, put together in another way than the notebook asks for. It lies in the module that is called like its answer's: `attention`
has `split_heads`, as `solutions/attention.py` does.

Who uses them:

- A check. If an answer that calls other exercises fails and one of those has not passed, the check is repeated with
  stand-ins for them, so that one wrong answer costs one exercise and not all that build on it. The grader does the same.
- A later notebook. `reuse("EncoderLayer")` gives the student's own class if it passes its check, and the stand-in otherwise.
- Experiments: for a model whose answer is not there (in a class's copy of the course), and for vocabularies, batches and loops around
  any model.

Why only the library: students get `utils`, and nobody but the authors has `solutions`. So a stand-in must not import `solutions`
(`tests/test_setup.py` searches for it), nor hold an answer's lines (the class repository's release searches for those). And because
it computes its result in a second way, it tests the answer: `tests/test_checks.py` puts every stand-in through its exercise's check.

Declared in an exercise's specification, as "module:attribute", and imported only when it is asked for:

    Exercise(name="EncoderLayer", ..., stand_in="utils.stand_ins.transformer:EncoderLayer")

Nothing is imported here: `import utils.stand_ins` costs nothing, and a check imports the one module that it needs.
"""
