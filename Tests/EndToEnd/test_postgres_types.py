"""Every type of PostgreSQL's own catalogue, and some of a client's: values, NULL and extremes go through Prism without loss."""

import collections
import os
import re
import unittest

import paths
import postgres
import postgres_types
import prism
from conformance import backends
from harness import ServerTestCase
from postgres_types import identifier, literal

Type = collections.namedtuple("Type", "oid schema name shown base element")
DOCUMENT = os.path.join(paths.ROOT, "docs", "postgresql-types.md")


@postgres.needed
class TypeTests(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = backends.PostgreSQL.Place()
        cls.addClassCleanup(cls.place.close)
        cls.sql(postgres_types.OWN_TYPES)
        catalogue = [Type(int(oid), *rest) for oid, *rest in cls.sql(postgres_types.CATALOGUE)]
        cls.types = [one for one in catalogue if (one.element or one.name) not in postgres_types.EXCLUDED]
        cls.excluded = {one.element or one.name for one in catalogue} - {one.element or one.name for one in cls.types}
        by_name = {one.name: one for one in catalogue if not one.element}
        script = []
        for one in cls.types:
            script += cls.fill(one, by_name)
        cls.sql("\n".join(script))
        super().setUpClass()

    @classmethod
    def serve(cls):
        return cls.place.start()

    @classmethod
    def sql(cls, text):
        return postgres.shared().sql(text, cls.place.database)

    @staticmethod
    def declared(one):
        return f"{identifier(one.schema)}.{identifier(one.name)}"

    @classmethod
    def fill(cls, one, by_name):
        """A table with the type's values as PostgreSQL itself reads them, and room for what comes through Prism."""
        table, declared = f"t{one.oid}", cls.declared(one)
        yield f"create table {table} (id int primary key, direct {declared}, via {declared});"
        values = [f"{literal(text)}::{declared}" for text in cls.samples(one)]
        if one.element and one.element not in postgres_types.ARRAY_SAMPLES:
            element = by_name[one.element]
            items = [f"{literal(text)}::{cls.declared(element)}" for text in cls.samples(element)]
            short = items[:2]
            values += [f"array[{', '.join(items + ['null'])}]::{declared}",
                       f"array[array[{short[0]}, null], array[{short[-1]}, {short[0]}]]::{declared}"]
        values.append("null")
        for number, value in enumerate(values):
            yield f"insert into {table} (id, direct) values ({number}, {value});"

    @staticmethod
    def samples(one):
        if one.element:
            comma = ";" if one.element == "box" else ","
            return postgres_types.ARRAY_SAMPLES.get(one.element, ["{}", "{NULL}", f"[5:6]={{NULL{comma}NULL}}"])
        return postgres_types.SAMPLES.get(one.name, [])

    def test_every_type_of_the_catalogue_has_values_or_a_reason(self):
        self.assertGreater(len(self.types), 150)
        self.assertEqual([one for one in self.types if not self.samples(one)], [])
        self.assertEqual(self.excluded, set(postgres_types.EXCLUDED))
        for name in postgres_types.EXCLUDED:
            with self.subTest(excluded=name), self.assertRaisesRegex(AssertionError, "cannot accept a value|not implemented"):
                self.sql(f"select ''::{name}")

    def test_what_prism_reads_it_writes_again_to_the_last_bit(self):
        db = self.client(timeout=60)
        for one in self.types:
            with self.subTest(type=one.name):
                rows = db.query(f"select id, direct from t{one.oid} order by id", read_only=True)
                self.assertEqual(rows.columns[1].type, one.shown)
                kind = postgres_types.KINDS.get(one.base)
                for number, value in rows:
                    if value is None:
                        self.assertEqual(number, len(rows) - 1, "only the last one is NULL")
                    elif kind:
                        self.assertIs(type(value), kind)
                    else:
                        self.assertEqual(value.type, one.shown)
                db.batch(f"update t{one.oid} set via = $1 where id = $2", parameter_sets=[(v, n) for n, v in rows])
        self.check()

    def test_a_parameter_that_names_its_type_comes_back_as_itself(self):
        db = self.client(timeout=60)
        for one in self.types:
            if postgres_types.KINDS.get(one.base):
                continue
            with self.subTest(type=one.name):
                values = [value for (value,) in db.query(f"select direct from t{one.oid} order by id", read_only=True)]
                for value in values[:-1]:
                    result = db.query("select $1", value, read_only=True)
                    self.assertEqual((result.columns[0].type, result.scalar()), (one.shown, value))

    def test_text_finds_the_type_of_its_place(self):
        db = self.client(timeout=60)
        for one in self.types:
            with self.subTest(type=one.name):
                sql = f"select id, direct::text from t{one.oid} order by id"
                if one.base in ("bpchar", "name", "char", "bytea"):
                    continue  # ::text takes blanks away, or writes what bytes are sent for
                rows = db.query(sql, read_only=True)
                db.batch(f"update t{one.oid} set via = $1 where id = $2", parameter_sets=[(v, n) for n, v in rows])
        self.check(but=("bpchar", "name", "char", "bytea"))

    def check(self, but=()):
        """That each value that came through Prism is the same as PostgreSQL's own, to the byte of its storage."""
        checked = [one for one in self.types if one.base not in but]
        different = self.sql(" union all ".join(
            f"select '{one.oid}', id, left(direct::text, 100), left(via::text, 100) from t{one.oid} "
            "where not record_image_eq(row(direct), row(via))" for one in checked))
        names = {str(one.oid): one.name for one in checked}
        self.assertEqual([(names[row[0]], *row[1:]) for row in different], [])


@postgres.needed
class CatalogueTests(unittest.TestCase):
    def test_the_built_in_names_are_the_server_s(self):
        path = os.path.join(paths.ROOT, "Sources", "PrismCore", "PostgreSQL", "Values", "TypeCatalog+Table.swift")
        with open(path) as file:
            table = re.findall(r'^    \((\d+), "((?:[^"\\]|\\.)*)", "(\w+)"\),$', file.read(), re.MULTILINE)
        known = {(oid, shown.replace('\\"', '"'), name) for oid, shown, name in table}
        server = set(postgres.shared().sql(
            "select oid, format_type(oid, null), typname from pg_type "
            "where oid < 10000 and typtype in ('b', 'p', 'r', 'm', 'd')"))
        self.assertEqual(len(known), 189)
        # A later server may have more of them, and calls none by another name.
        self.assertEqual(known - server, set())
        if postgres.shared().value("show server_version_num").startswith("15"):
            self.assertEqual(server - known, set())


class DocumentTests(unittest.TestCase):
    def test_the_document_lists_what_is_excluded(self):
        with open(DOCUMENT) as file:
            document = file.read()
        for name, reason in postgres_types.EXCLUDED.items():
            self.assertIn(f"| `{name}` | {reason} |", document)
        for name in postgres_types.KINDS:
            self.assertIn(f'`"{name}"`' if name == "char" else f"`{name}`", document)


if __name__ == "__main__":
    unittest.main()
