"""Wrangler files made at random from a seed: every shape that TOML and JSONC allow for a binding, with comments in odd
places, texts that look like bindings and are none, mixed line endings, byte order marks, and no final newline.

    text, bindings = toml(7)     # bindings: environment ("" at the top) -> names that the file binds there
"""

import json
import random

COMMENTS = ["# hyperdrive = [", "# [[hyperdrive]]", "#", '# id = "x" "', "  # ünïcode ✓ 🚀", "#\ttab"]


def _id(r):
    return "".join(r.choice("0123456789abcdef") for _ in range(32))


def _line_endings(r, text):
    how = r.choice(["\n", "\n", "\r\n", "mixed"])
    if how == "mixed":
        return "".join(r.choice(["\n", "\r\n"]) if c == "\n" else c for c in text)
    return text.replace("\n", how)


def _fields(r, name):
    fields = [("binding", name), ("id", _id(r))]
    if r.random() < 0.3:
        fields.append(("localConnectionString", "postgres://u:p@h:5432/d//*#x*/"))
    r.shuffle(fields)
    return fields


class _Toml:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.lines: list[str] = []
        self.bindings: dict[str, list[str]] = {"": []}

    def pick(self, *choices):
        return self.r.choice(choices)

    def chance(self, share):
        return self.r.random() < share

    def text(self, value):
        return self.pick('"%s"', "'%s'") % value

    def key(self, name):
        return self.pick("%s", "%s", '"%s"', "'%s'") % name

    def end(self):
        return self.pick("", "", " # c", "  # [[hyperdrive]] not", "\t#x")

    def blank(self):
        self.lines += [self.pick("", "  ", "\t", *COMMENTS) for _ in range(self.pick(0, 0, 1, 2))]

    def stanza(self, header, name):
        lines = [header + self.end()]
        for key, value in _fields(self.r, name):
            lines.append(self.pick("", "  ") + self.key(key) + self.pick(" = ", "=", "   =  ") + self.text(value) + self.end())
            if self.chance(0.15):
                lines.append(self.r.choice(COMMENTS))
        return lines

    def inline(self, name):
        fields = [f"{self.key(k)} = {self.text(v)}" for k, v in _fields(self.r, name)]
        return self.pick("{ %s }", "{%s}") % self.pick(", ", ",", " , ").join(fields)

    def gap(self):
        return self.pick("", " ", "\n", "\n\n", "\t", " # hyperdrive = [ {\n", ' # }\n  # "\n', "\n # é🚀\n  ")

    def array(self, names):
        items = [self.inline(name) for name in names]
        if not items:
            return self.pick("[]", "[ ]", "[\n]", "[ # nothing\n]")
        if self.chance(0.3):
            return "[ " + ", ".join(items) + self.pick("", " ", ",") + "]"
        text = "[" + self.gap()
        for item in items[:-1]:
            text += item + self.gap() + "," + self.gap()
        return text + items[-1] + self.gap() + self.pick("", ",") + self.gap() + "]"

    def bind(self, environment, *names):
        self.bindings[environment] = list(names[:self.r.randint(1, len(names))])
        return self.bindings[environment]

    def top(self, shape):
        extra = [("compatibility_flags", '[ "nodejs_compat", # why\n  "b" ]'), ("dev.port", "8787"), ("limits.cpu_ms", "0x10"),
                 ("vars", '{ A = "b # [[hyperdrive]]", "x.y" = 1, C = { D = [1,2] } }'), ("usage_model", "'bundled'"),
                 ("define.X", '\'\'\'\n[[hyperdrive]]\nbinding = "NO"\n\'\'\''), ("define.z", '"\\u00e9 \\" ]"'),
                 ("define.Y", '"""\nhyperdrive = [ \\\n  x]\n"""'), ("triggers", '{ crons = ["*/5 * * * *"] }')]
        self.r.shuffle(extra)
        entries = [("name", '"demo"'), ("main", '"src/index.ts"'), *extra[:self.r.randint(0, 6)]]
        if shape == "inline":
            entries.insert(self.r.randint(0, len(entries)), ("hyperdrive", self.array(self.bind("", "H0", "H1", "H2", "H3"))))
        if shape == "empty":
            entries.insert(self.r.randint(0, len(entries)), ("hyperdrive", self.array([])))
        return entries

    def environment_entries(self, how):
        """Environments among the top level's entries: dotted keys, or one inline table."""
        if how == "dotted":
            self.bindings["staging"] = []
            entries = [("env.staging.name", '"s"')]
            if self.chance(0.5):
                entries.append(("env.staging.hyperdrive", self.array(self.bind("staging", "E1", "E2"))))
            return entries
        if how != "inline":
            return []
        tables = []
        for environment in ("staging", "prod")[:self.r.randint(1, 2)]:
            self.bindings[environment] = []
            body = ['name = "w"']
            if self.chance(0.5):
                body.append("hyperdrive = [" + ", ".join(self.inline(n) for n in self.bind(environment, "E1", "E2")) + "]")
            self.r.shuffle(body)
            tables.append(f"{self.key(environment)} = {{ {', '.join(body)} }}")
        return [("env", "{ " + ", ".join(tables) + " }")]

    def environment_blocks(self):
        blocks = []
        for environment in ("staging", "prod")[:self.r.randint(1, 2)]:
            self.bindings[environment] = []
            path = self.pick("env.%s", 'env."%s"', "env . %s") % environment
            table = [f"[{path}]" + self.end(), 'name = "w"']
            if self.chance(0.3):
                table.append("hyperdrive = " + self.array(self.bind(environment, "E1", "E2")))
            blocks.append(table)
            if self.chance(0.4):
                blocks.append([f"[{path}.vars]", 'A = "b"'])
            if not self.bindings[environment] and self.chance(0.5):
                blocks += [self.stanza(f"[[{path}.hyperdrive]]", n) for n in self.bind(environment, "E1", "E2", "E3")]
        return blocks

    def make(self):
        shape = self.pick("none", "stanzas", "stanzas", "inline", "empty")
        how = self.pick("none", "tables", "tables", "dotted", "inline")
        self.blank()
        for key, value in self.top(shape) + self.environment_entries(how):
            self.lines.append((key if "." in key else self.key(key)) + self.pick(" = ", "=", " =  ") + value + self.end())
            self.blank()
        others = [["[placement]" + self.end(), 'mode = "smart"'], ["[[kv_namespaces]]", 'binding = "KV"', 'id = "a"'],
                  ["[assets]", 'directory = "./public" # [[hyperdrive]]'], ["[build]", 'command = """\n[[hyperdrive]]\n"""']]
        self.r.shuffle(others)
        blocks = others[:self.r.randint(0, 4)]
        if shape == "stanzas":
            for name in self.bind("", "H0", "H1", "H2", "H3"):
                header = self.pick("[[hyperdrive]]", "[[ hyperdrive ]]", '[["hyperdrive"]]', "  [[hyperdrive]]")
                blocks.append(self.stanza(header, name))
            first = len(blocks) - len(self.bindings[""])
            blocks = blocks[first:] + blocks[:first] if self.chance(0.4) else blocks
        for block in blocks + (self.environment_blocks() if how == "tables" else []):
            self.blank()
            self.lines += block
        self.blank()
        text = "\n".join(self.lines) + self.pick("", "\n", "\n", "\n\n")
        return self.pick("", "", "", "", "\ufeff") + _line_endings(self.r, text), self.bindings


class _Jsonc:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.style = self.pick("pretty", "pretty", "compact", "wild", "wild", "one line")
        self.indent = self.pick("  ", "\t", "    ", "")
        self.trailing = self.r.random() < 0.4

    def pick(self, *choices):
        return self.r.choice(choices)

    def comment(self):
        return self.pick("", "", "", "/* [ { */", '// "hyperdrive": [\n', '/* é 🚀\n * " */')

    def white(self, depth):
        if self.style == "wild":
            return self.pick("", " ", "\n", "\n\n", "\t") + self.comment() + self.pick("", " ", "\n")
        if self.style == "pretty":
            before = "\n" + self.indent * depth + self.pick("// hyperdrive: [", '/* "id": */') if self.r.random() < 0.2 else ""
            return before + "\n" + self.indent * depth
        return "" if self.style == "compact" else " "

    def key(self, name):
        if name in ("hyperdrive", "binding", "env") and self.r.random() < 0.06:
            return '"%s\\u%04x"' % (name[:-1], ord(name[-1]))
        return json.dumps(name)

    def colon(self):
        return {"compact": ":", "wild": self.pick(": ", ":", "/* : */ :", "// k\n:", ": // v\n")}.get(self.style, ": ")

    def items(self, texts, depth, brackets):
        if not texts:
            return self.pick(brackets, " ".join(brackets), "\n".join(brackets), f"{brackets[0]} /* none */{brackets[1]}")
        out = brackets[0]
        for i, text in enumerate(texts):
            out += self.white(depth + 1) + text
            if self.style == "wild" and self.r.random() < 0.3:
                out += self.pick(" ", "\n", "// ,\n", "/* , */", "\n// ]\n")
            if i + 1 < len(texts) or (self.trailing and self.r.random() < 0.6):
                out += ","
            if self.style == "pretty" and self.r.random() < 0.15:
                out += self.pick(" // c", " /* d */")
        return out + ("\n" + self.indent * depth if self.style == "pretty" else self.white(depth)) + brackets[1]

    def value(self, value, depth=0):
        if isinstance(value, dict):
            return self.items([self.key(k) + self.colon() + self.value(v, depth + 1) for k, v in value.items()], depth, "{}")
        if isinstance(value, list):
            return self.items([self.value(v, depth + 1) for v in value], depth, "[]")
        return json.dumps(value, ensure_ascii=self.r.random() < 0.5)

    def array(self, names):
        return [dict(_fields(self.r, name)) for name in names]

    def make(self):
        bindings = {"": [f"H{i}" for i in range(self.pick(0, 0, 1, 2, 4))]}
        document = [("name", "demo"), ("main", "src/index.ts"),
                    ("vars", {"A": 'b, // "hyperdrive": [', "U": "é🚀", "N": {"hyperdrive": [{"binding": "NO", "id": "q"}]}})]
        extra = [("compatibility_flags", ["nodejs_compat"]), ("observability", {"enabled": True}), ("rules", []), ("define", {})]
        document += self.r.sample(extra, self.r.randint(0, 4))
        if bindings[""] or self.r.random() < 0.3:
            document.append(("hyperdrive", self.array(bindings[""])))
        if self.r.random() < 0.6:
            environments = {}
            for name in ("staging", "pröd")[:self.r.randint(1, 2)]:
                bindings[name] = ["E1", "E2"][:self.r.randint(0, 2)]
                scope = [("name", "s")] + ([("hyperdrive", self.array(bindings[name]))] if bindings[name] else [])
                self.r.shuffle(scope)
                environments[name] = dict(scope)
            document.append(("env", environments))
        self.r.shuffle(document)
        text = self.pick("", "// first\n", "/* é */\n") + self.value(dict(document)) + self.pick("", "\n", "\n\n", "\n// end")
        return self.pick("", "", "", "\ufeff") + _line_endings(self.r, text), bindings


def toml(seed: int) -> tuple[str, dict[str, list[str]]]:
    return _Toml(seed).make()


def jsonc(seed: int) -> tuple[str, dict[str, list[str]]]:
    return _Jsonc(seed).make()
