"""Notebooks: kept as text, shown as executed pages, downloaded as .ipynb."""

from __future__ import annotations

from pathlib import Path

# In the order in which they are read.
ORDER = (
    "pruning_is_sketching",
    "how_sharp_is_a_bound",
    "the_end_of_training",
    "pruning_without_data",
    "test_a_bound_of_your_own",
    "draw_or_top",
)


def write(source: Path, folder: Path, *, run: bool = True) -> None:
    """Run and write each notebook, with a link for those who want to run it, and the index.

    A cell that fails stops the build. They are run here, and not by MyST-NB, because on a busy
    machine a kernel may take longer to start than it would wait.
    """
    # What the extra `docs` brings: their order and their text are tested without it.
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    folder.mkdir(parents=True)
    paths = {path.stem: path for path in source.glob("*.py")}
    names = [name for name in ORDER if name in paths]
    names += sorted(paths.keys() - set(names))
    for name in names:
        notebook = jupytext.read(paths[name], fmt="py:percent")
        first = notebook.cells[0]
        title, _, rest = first.source.partition("\n")
        link = f"*Run it yourself:* {{download}}`{name}.ipynb <{name}.ipynb>`"
        first.source = f"{title}\n\n{link}\n{rest}"
        if run:
            place = {"metadata": {"path": str(source.parents[1])}}
            NotebookClient(
                notebook,
                timeout=600,
                startup_timeout=600,
                kernel_name="python3",
                resources=place,
                # The kernel warns that it talks over ports of this machine: it is nobody's news.
                extra_arguments=["--log-level=ERROR"],
            ).execute()
        nbformat.write(notebook, folder / f"{name}.ipynb")
    listed = "\n".join(names)
    text = (
        "# Notebooks\n\nEach is run when this site is built, on data that comes with scikit-learn, "
        "in less than a minute. Every\nclaim in them is asserted.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )
    (folder / "index.md").write_text(text, encoding="utf-8")
