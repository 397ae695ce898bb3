"""chemtrain on a present JAX, in fresh interpreters: imports of this session must not count."""

import subprocess
import sys

from cgcore.compat import MOVED, chemtrain_learn


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_module_changes_nothing():
    code = """
import sys
import jax
before = dict(vars(jax))
import cgcore.compat
changed = [k for k, v in vars(jax).items() if before.get(k, ()) is not v]
print(changed, [m for m in sys.modules if m.split(".")[0] == "chemtrain"])
"""
    assert run(code) == "[] []"


def test_only_the_moved_names_are_lent():
    """What the import adds to jax besides is submodules."""
    code = """
import types
import jax
before = dict(vars(jax))
from cgcore.compat import chemtrain_learn
chemtrain_learn()
changed = {k: v for k, v in vars(jax).items() if before.get(k, ()) is not v and not isinstance(v, types.ModuleType)}
print(sorted(changed), all(v is getattr(jax.tree_util, k) for k, v in changed.items()))
"""
    names, same = run(code).rsplit(" ", 1)
    assert set(eval(names)) == {f"tree_{name}" for name in MOVED}
    assert same == "True"


def test_chemtrain_has_the_loss_and_the_step():
    force_matching, max_likelihood = chemtrain_learn()
    assert force_matching.__name__ == "chemtrain.learn.force_matching"
    assert callable(force_matching.init_loss_fn) and callable(max_likelihood.step_optimizer)
    assert chemtrain_learn() == (force_matching, max_likelihood)
