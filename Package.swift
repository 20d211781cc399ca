// swift-tools-version: 6.1
import PackageDescription

// Dependencies point downwards only; Tests/RepositoryTests holds this list against the code.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]
// The data path crosses modules with every request: without this, PrismCore's generic values run unspecialised in
// PrismSQLite (docs/measurements.md). Exclusive access is checked in debug builds and by all tests; in the release binary the
// checks were a tenth of a short read's CPU. Not for what a client library will import: a dependency may not have unsafe flags.
let dataPath =
    strict + [
        .unsafeFlags(
            ["-cross-module-optimization", "-enforce-exclusivity=unchecked"], .when(configuration: .release))
    ]

let package = Package(
    name: "prism",
    products: [.executable(name: "prism", targets: ["prism"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // C: generated code, system libraries, and what Swift cannot import.
        .target(name: "CPrismWire", linkerSettings: [.linkedLibrary("protobuf-c")]),
        .target(name: "CLinux"),
        .target(name: "CPostgreSQL", linkerSettings: [.linkedLibrary("pq")]),
        .target(name: "CSQLite", linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(name: "CYAML", linkerSettings: [.linkedLibrary("yaml")]),

        // Pure: no I/O, no clock; time is passed in.
        .target(name: "PrismWire", dependencies: ["CPrismWire"], swiftSettings: dataPath),
        .target(name: "PrismCore", dependencies: ["PrismWire"], swiftSettings: dataPath),
        .target(name: "PrismSimulation", dependencies: ["PrismCore", "PrismWire"], swiftSettings: strict),
        .target(name: "PrismFuzzing", dependencies: ["PrismCore", "PrismWire"], swiftSettings: strict),

        // Thin shells.
        .target(name: "PrismReactor", dependencies: ["CLinux"], swiftSettings: dataPath),
        .target(
            name: "PrismSQLite",
            dependencies: ["CSQLite", "PrismCore", "PrismReactor", "PrismWire"], swiftSettings: dataPath),
        .target(
            name: "PrismPostgreSQL",
            dependencies: ["CPostgreSQL", "PrismCore", "PrismReactor", "PrismWire"], swiftSettings: dataPath),
        .target(name: "PrismConfiguration", dependencies: ["CYAML", "PrismCore"], swiftSettings: strict),
        .target(
            name: "PrismAdmin",
            dependencies: [
                "PrismCore",
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], swiftSettings: strict),
        .target(
            name: "PrismServer",
            dependencies: [
                "CLinux", "PrismConfiguration", "PrismCore", "PrismPostgreSQL", "PrismReactor", "PrismSQLite",
                "PrismWire",
            ], swiftSettings: dataPath),
        // What the commands share: a blocking client, the admin socket's HTTP, output, the load generator.
        .target(
            name: "PrismTools", dependencies: ["CLinux", "CPostgreSQL", "PrismCore", "PrismReactor", "PrismWire"],
            swiftSettings: strict),
        .executableTarget(
            name: "prism",
            dependencies: [
                "PrismAdmin", "PrismConfiguration", "PrismCore", "PrismPostgreSQL", "PrismReactor", "PrismServer",
                "PrismSQLite", "PrismTools", "PrismWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "prism-simulate",
            dependencies: [
                "PrismSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "prism-fuzz",
            dependencies: [
                "PrismFuzzing", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),

        // Tests, by module. Tests/EndToEnd is Python and drives the built binary.
        .target(name: "CFaultVFS", dependencies: ["CSQLite"], path: "Tests/CFaultVFS"),
        .testTarget(name: "PrismWireTests", dependencies: ["PrismWire", "CPrismWire"], swiftSettings: strict),
        .testTarget(name: "PrismCoreTests", dependencies: ["PrismCore", "PrismWire"], swiftSettings: strict),
        .testTarget(name: "PrismReactorTests", dependencies: ["PrismReactor", "CLinux"], swiftSettings: strict),
        .testTarget(
            name: "PrismSQLiteTests",
            dependencies: ["PrismSQLite", "CSQLite", "CFaultVFS", "PrismCore", "PrismReactor", "PrismWire"],
            swiftSettings: strict),
        .testTarget(
            name: "PrismPostgreSQLTests",
            dependencies: ["PrismPostgreSQL", "CPostgreSQL", "PrismCore", "PrismReactor", "PrismWire"],
            swiftSettings: strict),
        .testTarget(name: "PrismConfigurationTests", dependencies: ["PrismConfiguration"], swiftSettings: strict),
        .testTarget(name: "PrismAdminTests", dependencies: ["PrismAdmin", "PrismCore"], swiftSettings: strict),
        .testTarget(
            name: "PrismServerTests", dependencies: ["PrismServer", "PrismCore", "PrismReactor"], swiftSettings: strict),
        .testTarget(name: "PrismToolsTests", dependencies: ["PrismTools", "PrismWire"], swiftSettings: strict),
        .testTarget(
            name: "PrismFuzzingTests", dependencies: ["PrismFuzzing", "PrismCore", "PrismWire"], swiftSettings: strict),
        .testTarget(name: "PrismSimulationTests", dependencies: ["PrismSimulation"], swiftSettings: strict),
        .testTarget(name: "RepositoryTests"),
    ]
)
