"""All verbs, in the order in which `fastitpn --help` lists them."""

from collections.abc import Sequence

from fastitpn.commands import (
    accelerate,
    app,
    benchmark,
    completion,
    data,
    demo,
    doctor,
    evaluate,
    export,
    finetune,
    inspect,
    predict,
    pretrain,
    recipes,
    report,
    visualize,
    weights,
)
from fastitpn.commands.verb import Verb


def all_verbs() -> Sequence[Verb]:
    """The verbs; those of a task are there once it is registered."""
    return (
        demo.VERB,
        pretrain.CACHE_FEATURES,
        pretrain.VERB,
        *finetune.verbs(),
        evaluate.verb(),
        predict.verb(),
        app.VERB,
        benchmark.VERB,
        accelerate.verb(),
        *visualize.VERBS,
        report.COMPARE,
        report.LIVE,
        doctor.VERB,
        data.SHARD,
        data.CONVERT,
        export.OFFICIAL,
        export.VERB,
        recipes.VERB,
        weights.GET,
        weights.PATH,
        weights.LIST,
        inspect.VERB,
        completion.VERB,
    )
