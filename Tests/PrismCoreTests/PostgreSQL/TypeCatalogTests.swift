import PrismCore
import Testing

@Suite struct TypeCatalogTests {
    @Test(
        "a built-in type is found under the names that people write",
        arguments: [
            ("int8", 20), ("bigint", 20), ("BIGINT", 20), ("int4", 23), ("integer", 23), ("int", 23), ("smallint", 21),
            ("uuid", 2950), ("jsonb", 3802), ("timestamptz", 1184), ("timestamp with time zone", 1184),
            ("timestamp", 1114), ("time", 1083), ("numeric", 1700), ("decimal", 1700), ("double precision", 701),
            ("float", 701), ("real", 700), ("varchar", 1043), ("character varying", 1043), ("bit", 1560),
            ("int4range", 3904), ("int4multirange", 4451), ("int4[]", 1007), ("integer[]", 1007), ("INT[]", 1007),
            ("int4[][]", 1007), ("_int4", 1007), ("text[]", 1009), ("timestamptz[]", 1185), ("int8multirange[]", 6157),
        ] as [(String, TypeOID)])
    func names(_ name: String, _ oid: TypeOID) { #expect(TypeCatalog.oid(named: name) == oid) }

    @Test("the one-byte type and SQL's character are told apart by the quotes")
    func charAndCharacter() {
        #expect(TypeCatalog.oid(named: "\"char\"") == 18)
        #expect(TypeCatalog.oid(named: "\"char\"[]") == 1002)
        #expect(TypeCatalog.oid(named: "char") == 1042)
        #expect(TypeCatalog.oid(named: "char[]") == 1014)
    }

    @Test(
        "what is not built in, has a modifier, a schema or other quotes is the server's to know",
        arguments: [
            "", "[]", "mood", "public.mood", "numeric(10,2)", "\"uuid\"", "int4 []", "int[][", "0", "99999999999",
        ])
    func unknownNames(_ name: String) { #expect(TypeCatalog.oid(named: name) == nil) }

    @Test("every name of the table leads back to its type, and a number to itself")
    func everyNameIsReversible() {
        var count = 0
        for oid in TypeOID(1)..<10_000 {
            guard let name = TypeCatalog.name(oid) else { continue }
            count += 1
            #expect(TypeCatalog.oid(named: name) == oid, "\(name)")
            #expect(TypeCatalog.oid(named: String(oid)) == oid)
        }
        #expect(count == 189)
    }

    @Test("types that are not built in are asked for once, and at most so many are kept")
    func learning() {
        var types = KnownTypes(typesMax: 2)
        let columns = [ServerColumn(name: "a", type: 23), ServerColumn(name: "b", type: 16_400)]
        #expect(types.unknown(among: columns + columns) == [16_400])
        types.learn(16_400, name: "mood")
        #expect(types.unknown(among: columns).isEmpty)
        #expect(types.name(16_400) == "mood")
        #expect(types.oid(named: "mood") == 16_400)
        types.learn(alias: "public.mood", 16_400)
        #expect(types.oid(named: "public.mood") == 16_400)
        types.learn(16_401, name: "colour")
        #expect(types.name(16_400) == nil && types.name(16_401) == "colour")
        types.learn(16_402, name: "shape")
        types.learn(16_403, name: "size")
        #expect(types.count <= 2)
        types.forgetAll()
        #expect(types.name(16_403) == nil && types.oid(named: "size") == nil && types.name(23) == "integer")
    }
}
