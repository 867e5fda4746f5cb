import subprocess
import sys

import pytest
import torch
from torch import nn

from training import models, seeding
from training.initialise import INITIALISERS
from training.vision import torchvision

SMALL = [name for name in models.names() if not name.startswith("imagenet_")]
FACTORIES = """
import torch
class Net(torch.nn.Module):
    def __init__(self, inputs, classes, hidden):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(inputs, hidden), torch.nn.Linear(hidden, classes))
    def forward(self, x):
        return self.layers(x)
class Own(Net):
    def __init__(self, num_classes, channels, size, hidden=4):
        super().__init__(channels * size * size, num_classes, hidden)
def plain(classes, hidden=4): return Net(3 * 32 * 32, classes, hidden)
def sized(classes, channels, size): return Net(channels * size * size, classes, 4)
def needy(classes, *, hidden): return Net(3 * 32 * 32, classes, hidden)
def anything(classes, **options): return Net(3 * 32 * 32, classes, options.get("hidden", 4))
def nothing(classes): return None
def wide(classes, channels=64, size=16): return Net(3 * 32 * 32, classes, channels + size)
def required(num_classes, channels, size): return Net(channels * size * size, num_classes, 4)
def keywords(**options): return Net(3 * 32 * 32, options["num_classes"], 4)
def neither(hidden=4): return Net(3 * 32 * 32, 10, hidden)
def constant(classes):
    net = Net(3 * 32 * 32, classes, 4)
    for weight in net.parameters():
        torch.nn.init.constant_(weight, 0.25)
    return net
def vision(num_classes):
    bias = torch.rand(num_classes)
    from torchvision.models import resnet18
    net = resnet18(num_classes=num_classes)
    with torch.no_grad():
        net.fc.bias.copy_(bias)
    return net
number = 5
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's in the current folder, which is not on the import path."""
    (tmp_path / "own_networks.py").write_text(FACTORIES)
    (tmp_path / "broken_networks.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_networks", None)


def prunable(model: nn.Module) -> list[nn.Parameter]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def small(name: str, **settings) -> nn.Module:
    channels, size = (1, 8) if name == "vgg_digits" else (3, 32)
    return models.build(name, **{"classes": 10, "channels": channels, "size": size} | settings)


@pytest.mark.parametrize(
    ("name", "classes", "tensors", "weights"),
    [
        ("resnet18", 10, 21, 11_164_352),
        ("resnet50", 10, 54, 23_467_712),
        ("resnet50", 100, 54, 23_652_032),
        ("vgg16", 10, 14, 14_715_584),
        ("vgg19", 10, 17, 20_024_000),
        ("vgg19", 100, 17, 20_070_080),
    ],
)
def test_prunable_weights_are_as_many_as_in_the_papers(name, classes, tensors, weights):
    with torch.device("meta"):
        found = prunable(models.build(name, classes=classes))
    assert (len(found), sum(weight.numel() for weight in found)) == (tensors, weights)


def test_resnet20_has_the_weights_of_its_layers():
    # stem, then three stages of six convolutions (the first of each stage from fewer filters), shortcuts, classifier
    stage = [6 * 9 * 16**2, (9 * 16 * 32 + 5 * 9 * 32**2), (9 * 32 * 64 + 5 * 9 * 64**2)]
    expected = 9 * 3 * 16 + sum(stage) + 16 * 32 + 32 * 64 + 64 * 10
    with torch.device("meta"):
        assert sum(weight.numel() for weight in prunable(small("resnet20"))) == expected


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_a_small_image_resnet_computes_what_torchvisions_does_with_its_stem_replaced(name):
    ours = models.build(name, classes=10).eval()
    theirs = getattr(torchvision().models, name)(num_classes=10).eval()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", SMALL)
def test_every_small_network_maps_images_to_logits_and_can_learn(name):
    options = {"width": 4} if name == "vgg_digits" else {"width": 0.125}
    model = small(name, **options)
    size, channels = (8, 1) if name == "vgg_digits" else (32, 3)
    logits = model(torch.rand(2, channels, size, size))
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_width_scales_the_filters(name):
    with torch.device("meta"):
        default = models.check(name, {})["width"]
        narrow, full, wide = (
            sum(weight.numel() for weight in prunable(small(name, width=type(default)(default * scale))))
            for scale in (0.5, 1, 2)
        )
    assert narrow < full / 3 < full * 3 < wide


def test_a_small_image_vgg_pools_four_times_and_so_averages_over_2x2():
    model = models.build("vgg19", classes=10, width=0.125)
    assert model.features(torch.rand(2, 3, 32, 32)).shape == (2, 64, 2, 2)
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == 4


def test_tiny_imagenet_images_go_through_a_vgg():
    model = models.build("vgg11", classes=200, size=64, width=0.125)
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 200)


def test_the_imagenet_networks_are_torchvisions():
    with torch.device("meta"):
        for name, theirs in (("imagenet_resnet50", "resnet50"), ("imagenet_vgg19", "vgg19_bn")):
            expected = getattr(torchvision().models, theirs)().state_dict()
            found = models.build(name, classes=1000, size=224).state_dict()
            assert {key: value.shape for key, value in found.items()} == {
                key: value.shape for key, value in expected.items()
            }
        with pytest.raises(ValueError, match="needs colour images"):
            models.build("imagenet_resnet50", classes=10, channels=1)


def test_kaiming_normal_weights_have_variance_two_over_fan_in_biases_and_norms_are_neutral():
    model = models.build("resnet18", classes=10)
    for weight in prunable(model):
        fan_in = weight[0].numel()
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
        assert weight.mean().abs().item() < 5 * (2 / fan_in / weight.numel()) ** 0.5
    assert torch.count_nonzero(model.fc.bias) == 0
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()


def test_kaiming_normal_fan_out_draws_convolutions_by_fan_out_and_leaves_the_classifier_to_torch():
    """As the authors' ResNet-18 of SynFlow has it, and torchvision's."""
    model = models.build("resnet18", classes=10, init="kaiming_normal_fan_out")
    for weight in prunable(model)[:-1]:
        fan_out = weight[:, 0].numel()
        assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
    bound = 512**-0.5  # of torch's own, uniform draw
    assert bound * 0.95 < model.fc.weight.abs().max() <= bound
    assert 0 < model.fc.bias.abs().max() <= bound
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all() and module.bias.eq(0).all()


def test_orthogonal_weights_are_orthogonal():
    weight = models.build("resnet18", classes=10, init="orthogonal").fc.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(10), atol=1e-5, rtol=0)


@pytest.mark.parametrize("init", INITIALISERS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(init):
    def weights(seed: int) -> torch.Tensor:
        with seeding.seeded(seed, "weights"):
            return nn.utils.parameters_to_vector(
                models.build("resnet20", classes=10, width=0.25, init=init).parameters()
            )

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_default_leaves_the_networks_own_initialisation():
    torch.manual_seed(0)
    expected = nn.Linear(64, 10).weight
    found = models.build("resnet20", classes=10, init="default").fc.weight
    # torch's own is uniform within 1 / sqrt(fan_in), a Kaiming-normal draw of 640 would not stay within
    assert found.abs().max() <= 1 / 8
    assert expected.abs().max() <= 1 / 8
    assert models.build("resnet20", classes=10).fc.weight.abs().max() > 1 / 8


@pytest.mark.slow
def test_counting_weights_draws_none_and_does_not_import_torchs_compiler():
    code = """
import sys, torch
from training import models
with torch.device("meta"):
    model = models.build("vgg19", classes=10)
print(all(weight.is_meta for weight in model.parameters()), "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("name", models.names())
def test_each_architecture_is_described_in_a_line(name):
    line = models.describe(name)
    assert line.endswith(".")
    assert len(line) < 120


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5O", {}, "unknown architecture 'resnet5O'; did you mean 'resnet50'?"),
        ("transformer", {}, "known are resnet18, "),
        ("resnet50", {"widht": 2}, "architecture resnet50 has no option 'widht'; it has: width"),
        ("imagenet_resnet50", {"width": 2}, "architecture imagenet_resnet50 has no option 'width'; it has none"),
        ("resnet50", {"width": 0}, "option 'width' must be a number above 0, not 0"),
        ("resnet50", {"width": "wide"}, "option 'width' must be a number above 0, not 'wide'"),
        ("resnet50", {"width": 1e300}, "option 'width' must be at most 10000, not 1e+300"),
        ("vgg_digits", {"depth": 2**62}, "option 'depth' must be at most 1000, not 4611686018427387904"),
        ("resnet50", {"width": True}, "option 'width' must be a number above 0, not True"),
        ("vgg_digits", {"width": 1.5}, "option 'width' must be a whole number above 0, not 1.5"),
    ],
)
def test_unknown_names_and_options_are_refused_with_the_known_ones(name, options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.check(name, options)
    assert message in str(caught.value)


def test_options_resolve_to_one_form():
    assert models.check("resnet50", {}) == {"width": 1.0}
    resolved = models.check("resnet50", {"width": 1})["width"]
    assert isinstance(resolved, float)  # else the same network would have two trial ids


def test_an_unknown_initialisation_is_refused():
    with pytest.raises(ValueError, match="unknown initialisation 'kaiming_norm'; did you mean 'kaiming_normal'"):
        models.build("resnet20", classes=10, init="kaiming_norm")


def test_a_vgg_refuses_images_too_small_for_its_pools():
    with pytest.raises(ValueError, match="at least 16x16, not 8x8"):
        models.build("vgg19", classes=10, size=8)


def test_a_shallow_vgg_digits_is_refused():
    with pytest.raises(ValueError, match="depth of at least 3, not 2"):
        models.build("vgg_digits", classes=10, channels=1, size=8, depth=2)


@pytest.mark.usefixtures("own")
def test_a_users_factory_is_found_in_the_working_folder_and_gets_its_arguments():
    assert models.build("own_networks:plain", classes=7)(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    assert models.build("own_networks:sized", classes=7, channels=1, size=8)(torch.rand(2, 1, 8, 8)).shape == (2, 7)
    wide = models.build("own_networks:plain", classes=7, hidden=9)
    assert wide.layers[1].out_features == 9
    assert models.build("own_networks:anything", classes=7, hidden=9).layers[1].out_features == 9
    assert models.check("own_networks:plain", {}) == {"hidden": 4}


@pytest.mark.usefixtures("own")
def test_channels_and_size_with_a_default_are_the_factorys_own_and_without_one_are_the_images():
    net = models.build("own_networks:wide", classes=7, channels=3, size=32)
    assert net.layers[1].out_features == 64 + 16
    assert models.build("own_networks:wide", {"channels": 5}, classes=7).layers[1].out_features == 5 + 16
    assert models.check("own_networks:wide", {}) == {"channels": 64, "size": 16}
    assert models.build("own_networks:required", classes=7, channels=1, size=8).layers[1].in_features == 64
    with pytest.raises(ValueError, match="channels: the data set determines this argument"):
        models.check("own_networks:required", {"channels": 1})


@pytest.mark.usefixtures("own")
def test_a_default_that_differs_from_the_images_is_reported():
    options = models.check("own_networks:wide", {})
    [line] = models.mismatched_options("own_networks:wide", options, channels=64, size=32)
    assert line.startswith("size=16 is an option of the factory, but the images have size=32")
    assert models.mismatched_options("own_networks:wide", options, channels=64, size=16) == []
    assert models.mismatched_options("own_networks:required", {}, channels=1, size=8) == []


@pytest.mark.usefixtures("own")
def test_the_number_of_classes_is_passed_as_classes_or_num_classes():
    assert models.build("own_networks:required", classes=7).layers[2].out_features == 7
    assert models.build("own_networks:keywords", classes=7).layers[2].out_features == 7
    with pytest.raises(ValueError, match="own_networks:neither must take 'classes' or 'num_classes'"):
        models.build("own_networks:neither", classes=10)
    with pytest.raises(ValueError, match="num_classes: the data set determines this argument"):
        models.check("own_networks:keywords", {"num_classes": 3})


@pytest.mark.usefixtures("own")
def test_a_class_is_a_factory():
    assert models.build("own_networks:Own", classes=7, channels=1, size=8, hidden=5).layers[1].weight.shape == (5, 64)


@pytest.mark.usefixtures("own")
def test_a_users_factory_keeps_its_own_weights_unless_an_initialiser_is_named():
    assert all(weight.eq(0.25).all() for weight in models.build("own_networks:constant", classes=7).parameters())
    drawn = models.build("own_networks:constant", classes=7, init="kaiming_normal")
    assert not drawn.layers[1].weight.eq(0.25).any()
    assert (models.default_init("own_networks:constant"), models.default_init("resnet18")) == (
        "default",
        "kaiming_normal",
    )


def test_a_network_of_torchvision_is_named_by_its_path():
    assert models.build("torchvision.models:resnet18", classes=7).fc.out_features == 7
    assert models.check("torchvision.models:resnet18", {}) == {"weights": None, "progress": True}


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_a_factory_that_imports_torchvision_itself_works_and_draws_once():
    """In a process of its own, where torchvision has not been imported yet."""
    code = """
import torch
from training import models
biases = []
for _ in range(2):
    torch.manual_seed(5)
    biases.append(models.build("own_networks:vision", classes=7).fc.bias)
print(torch.equal(*biases))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no_such_module:net", {}, "ModuleNotFoundError"),
        ("own_networks:net", {}, "AttributeError"),
        ("broken_networks:net", {}, "ZeroDivisionError"),
        ("own_networks:number", {}, "is a int, not a function"),
        ("own_networks:plain", {"hiden": 3}, "has no option 'hiden'; it has: hidden"),
        ("own_networks:needy", {}, "needs the option 'hidden'"),
        ("own_networks:nothing", {}, "returned a NoneType"),
    ],
)
def test_a_users_factory_that_cannot_be_called_is_refused(name, options, message):
    with pytest.raises(ValueError, match=r"own_networks|no_such|broken") as caught:
        models.build(name, classes=10, **options)
    assert message in str(caught.value)
