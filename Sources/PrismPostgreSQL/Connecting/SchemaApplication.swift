public import PrismWire

/// `prism schema apply`.
public enum SchemaApplication {
    /// Creates what is missing of Prism's own tables in a database; safe when many do so at once. Any thread; blocks.
    /// - Throws: UNAVAILABLE: no connection; FAILED_PRECONDITION: the tables cannot be made, or are a newer Prism's.
    public static func run(_ settings: ConnectSettings, _ definition: SchemaDefinition = .prism) throws(Failure) {
        let installer = SchemaInstaller(definition, mayCreate: true)
        let problem: String?
        do throws(ConnectFailure) {
            problem = try ConnectionMaker(settings, schema: nil).createSchema(installer)
        } catch {
            throw Failure(.unavailable, at: .connect, error.message)
        }
        if let problem { throw Failure(.failedPrecondition, at: .connect, problem) }
    }
}
