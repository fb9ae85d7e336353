"""Which queued spike goes next: policies.

A policy is one compiled key; among the queued neurons the one with the smallest key goes first, of equal keys the one
with the lowest index. Kernels reach a key by its address, so that they are compiled once for all policies, a user's
own included.

Source of random and momentum scheduling: Koopman et al., TMLR 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.errors import NumbaError
from numba.extending import intrinsic

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.jit import njit

KEY = types.float64(types.float64, types.int64, types.int64, types.int64, types.int64, types.float64)
"""Signature of a key: (potential, neuron, layer, arrival, last, draw) -> float64.

potential  membrane potential at the neuron's last crossing of its threshold in this timestep, before the reset; 0 for
           spikes of an earlier timestep and for barrier messages
neuron     index in the network, 0 for the first neuron of the first layer; inputs that compete have -inputs .. -1
layer      0 for the first layer of neurons; -1 for inputs
arrival    number of the insertion into this queue since the sample began; a neuron that is in keeps its number
last       neuron that this queue chose last; -1 before its first choice
draw       uniform in [0, ``draw_scale``), drawn anew for every neuron and step; 0 where the policy needs none
"""

LEAN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "forceinline": True, "_nrt": False}
"""Options of kernels that take tuples of many arrays and allocate nothing. Without numba's runtime (``_nrt``), handing
such a tuple to a function counts no references, which else takes ten times as long as the work."""
INNER: dict[str, Any] = LEAN | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""The same for functions that only kernels call."""

_TURN = 2**40


@njit(signature_or_function=KEY, nogil=True)
def _draw_first(potential, neuron, layer, arrival, last, draw):  # type: ignore[no-untyped-def]
    return draw


@njit(signature_or_function=KEY, nogil=True)
def _highest_first(potential, neuron, layer, arrival, last, draw):  # type: ignore[no-untyped-def]
    return -(potential + draw)


@njit(signature_or_function=KEY, nogil=True)
def _oldest_first(potential, neuron, layer, arrival, last, draw):  # type: ignore[no-untyped-def]
    return np.float64(arrival)


@njit(signature_or_function=KEY, nogil=True)
def _next_in_turn(potential, neuron, layer, arrival, last, draw):  # type: ignore[no-untyped-def]
    return np.float64((neuron - last - 1) % _TURN)


@njit(signature_or_function=KEY, nogil=True)
def _lowest_layer_first(potential, neuron, layer, arrival, last, draw):  # type: ignore[no-untyped-def]
    return np.float64(layer)


class Policy:
    """What a policy says of itself. A user's policy inherits from this, or has at least ``name`` and ``key``."""

    name: str = ""
    key: Callable[..., float]
    """Compiled with the explicit signature ``KEY`` (``numba.njit(KEY)``)."""
    needs_draw: bool = True
    """False: no random number is drawn, and ``draw`` is 0."""
    draw_scale: float = 1.0
    """Draws are uniform in [0, draw_scale)."""
    static: bool = False
    """True: the key of a queued neuron changes only when it fires again. No draw, no ``last``."""


class Random(Policy):
    """Random scheduling: every queued neuron draws a number in every step; the smallest goes first."""

    name = "random"
    key = _draw_first


class Momentum(Policy):
    """Momentum scheduling: the highest potential at crossing goes first, after noise uniform in [0, noise)."""

    name = "momentum"
    key = _highest_first

    def __init__(self, noise: float = 0.0) -> None:
        self.draw_scale = float(noise)
        self.needs_draw = self.draw_scale > 0
        self.static = not self.needs_draw


class Fifo(Policy):
    """The neuron that was put into the queue first."""

    name = "fifo"
    key = _oldest_first
    needs_draw, static = False, True


class RoundRobin(Policy):
    """The next queued neuron after the one chosen last, in the order of indices, around."""

    name = "round_robin"
    key = _next_in_turn
    needs_draw = False


class LayerOrder(Policy):
    """The lowest layer first, in it the lowest index."""

    name = "layer_order"
    key = _lowest_layer_first
    needs_draw, static = False, True


POLICIES: dict[str, type[Any]] = {kind.name: kind for kind in (Random, Momentum, Fifo, RoundRobin, LayerOrder)}
"""Policies by name. A user's own: ``register_policy``."""


def register_policy(kind: type[Any]) -> type[Any]:
    """Makes a policy known by its ``name``; also usable as a decorator of its class. The class takes no arguments."""
    rule_of(kind())
    POLICIES[kind.name] = kind
    return kind


def find_policy(policy: Any, noise: float = 0.0) -> Any:
    """The policy of that name, or ``policy`` itself if it has a key. ``noise`` is for ``momentum`` by name only.

    Errors: ``SpecError`` for an unknown name, for noise below zero or with another policy.
    """
    if not 0 <= noise < float("inf"):
        raise SpecError(Problem("noise", f"must be a finite number, at least 0, not {noise}"))
    if policy is None:
        hint = did_you_mean("", sorted(POLICIES), "Policies")
        raise SpecError(Problem("policy", "is missing: a name, or an object with a compiled key", hint))
    if isinstance(policy, str):
        if policy not in POLICIES:
            hint = did_you_mean(policy, sorted(POLICIES), "Policies")
            raise SpecError(Problem("policy", f"unknown policy {policy!r}", hint))
        kind = POLICIES[policy]
        if kind is Momentum:
            return Momentum(noise)
        policy = kind()
    elif isinstance(policy, type):
        policy = policy()
    if noise:
        name = getattr(policy, "name", policy)
        raise SpecError(Problem("noise", f"belongs to policy 'momentum'; {name!r} takes none (found {noise})"))
    return policy


class Rule(NamedTuple):
    """A policy as kernels take it: scalars only. Valid as long as the policy's ``key`` lives."""

    address: int
    """Where the compiled key starts."""
    static: int
    draws: int
    """1: numbers are drawn."""
    only_draw: int
    """1: the key is the draw, and need not be called."""
    scale: float


def rule_of(policy: Any) -> Rule:
    """``policy`` for kernels. Errors: ``SpecError`` where it has no key, or one of another signature."""
    key, name = getattr(policy, "key", None), getattr(policy, "name", "") or type(policy).__name__
    key = getattr(key, "__func__", key)
    if not hasattr(key, "get_compile_result"):
        hint = "Compile it with numba.njit(hwsim.neuromorphic.KEY), and give its class 'name' and 'key'."
        raise SpecError(Problem("policy", f"{name!r} has no compiled key", hint))
    address = _address(key)
    if not address:
        raise SpecError(Problem("policy", f"the key of {name!r} must have the signature {KEY}"))
    draws = bool(getattr(policy, "needs_draw", True))
    scale = float(getattr(policy, "draw_scale", 1.0)) if draws else 0.0
    static = bool(getattr(policy, "static", False)) and not draws
    return Rule(address, int(static), int(draws), int(draws and key is _draw_first), scale)


@cache
def _address(key: Any) -> int:
    """Where the compiled key starts, 0 if it has another signature. The cache keeps the key alive."""
    try:
        compiled = key.get_compile_result(KEY)
    except (NumbaError, TypeError):
        return 0
    if compiled.signature.return_type != types.float64:
        return 0
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))


def _call_key(typingctx, address, potential, neuron, layer, arrival, last, draw):  # type: ignore[no-untyped-def]
    """The key at ``address``. An address is plain data: a caller needs no compilation of its own per policy."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        real, whole = ir.DoubleType(), ir.IntType(64)
        kind = ir.FunctionType(real, [real, whole, whole, whole, whole, real])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.float64(types.int64, *KEY.args), generate


call_key: Any = intrinsic(_call_key)
