"""Sentences as the library conllu writes them."""

from importlib.metadata import version

from conllu import parse

VERSION = f"conllu {version('conllu')}"
SENTENCES = """# sent_id = 1
# text = Don't go!
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\t_\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\t_\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No
4\t!\t!\tPUNCT\t_\t_\t3\tpunct\t_\t_

# sent_id = 2
1\tIt\tit\tPRON\t_\t_\t2\tnsubj\t_\t_
2\trains\train\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No
3\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_

"""
FILES = {"two.conllu": lambda path: path.write_text("".join(one.serialize() for one in parse(SENTENCES)))}
