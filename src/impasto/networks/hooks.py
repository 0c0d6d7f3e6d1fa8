"""Hooks: the one place that looks into a running network; whatever happens, nothing of it stays behind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

After = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor | None]
Before = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]


@contextmanager
def hooked(
    module: nn.Module, after: Mapping[str, After] | None = None, before: Mapping[str, Before] | None = None
) -> Iterator[None]:
    """Within the context, call functions before or after some layers run; each may put another tensor in the place.

    Args:
        module: A network.
        after: By module path, called with (layer, inputs, output).
        before: By module path, called with (layer, inputs).

    >>> from torch.nn import Linear, Sequential
    >>> network, seen = Sequential(Linear(2, 3), Linear(3, 1)), []
    >>> with hooked(network, {"0": lambda layer, inputs, output: seen.append(tuple(output.shape))}):
    ...     _ = network(Tensor([[1.0, 2.0]]))
    >>> seen, len(network[0]._forward_hooks)
    ([(1, 3)], 0)
    """
    with ExitStack() as handles:
        for path, call in (after or {}).items():
            handles.callback(module.get_submodule(path).register_forward_hook(call).remove)
        for path, first in (before or {}).items():
            handles.callback(module.get_submodule(path).register_forward_pre_hook(first).remove)
        yield


@contextmanager
def at_rest(module: nn.Module) -> Iterator[None]:
    """Within the context, a network evaluates and gathers no gradients of its weights; then all is as it was.

    >>> from torch.nn import Dropout, Linear, Sequential
    >>> network = Sequential(Linear(2, 2), Dropout()).train()
    >>> with at_rest(network):
    ...     network[1].training, network[0].weight.requires_grad
    (False, False)
    >>> network[1].training, network[0].weight.requires_grad
    (True, True)
    """
    training = [(layer, layer.training) for layer in module.modules()]
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval().requires_grad_(False)
    try:
        yield
    finally:
        for layer, was in training:
            layer.training = was
        for parameter in learning:
            parameter.requires_grad_(True)
