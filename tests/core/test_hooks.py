"""The parts of a module, and whether somebody listens to one of them."""

from __future__ import annotations

from torch import nn

from sightline.core.hooks import any_hooked, parts_of


def test_parts_are_those_of_torch_in_the_same_order():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.Sequential(shared, nn.ReLU()), shared, nn.ModuleDict({"of": nn.Sequential(shared)}))
    model.absent = None
    model.register_module("another", None)
    assert parts_of(model) == list(model.modules())
    assert parts_of(shared) == [shared]


def test_a_hook_anywhere_is_seen():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
    assert not any_hooked(parts_of(model))
    for part in model.modules():
        handle = part.register_forward_pre_hook(lambda *_: None)
        assert any_hooked(parts_of(model))
        handle.remove()
        assert not any_hooked(parts_of(model))
        part.forward = part.forward
        assert any_hooked(parts_of(model))
        del part.forward
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert any_hooked(parts_of(model))
    handle.remove()
    assert not any_hooked(())
