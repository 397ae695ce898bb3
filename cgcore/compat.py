"""chemtrain 0.2.0 on a present JAX.

chemtrain 0.2.0 was written for JAX 0.4 and looks up eight tree functions that `jax` has since moved to
`jax.tree_util`. `chemtrain_learn` lends them for the time of the import, which binds what it needs, and returns the two
modules that training uses. What chemtrain calls later as `jax.tree_*` must still be there, so the names stay; nothing
else of JAX or chemtrain is touched, and nothing happens unless this function is called.
"""

import warnings

import jax

MOVED = ("all", "flatten", "leaves", "map", "reduce", "structure", "transpose", "unflatten")


def chemtrain_learn():
    """Import and return `chemtrain.learn.force_matching` and `chemtrain.learn.max_likelihood`."""
    for name in MOVED:
        if f"tree_{name}" not in vars(jax):
            setattr(jax, f"tree_{name}", getattr(jax.tree_util, f"tree_{name}"))
    with warnings.catch_warnings():
        # JAX's, about more names that chemtrain takes from their old places.
        warnings.simplefilter("ignore", DeprecationWarning)
        from chemtrain.learn import force_matching, max_likelihood

    return force_matching, max_likelihood
