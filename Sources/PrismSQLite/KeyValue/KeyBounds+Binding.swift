internal import CSQLite
internal import PrismCore

extension KeyBounds {
    func bind(_ statement: PreparedStatement, transient: sqlite3_destructor_type?) {
        lower.withUnsafeBytes { _ = statement.bind(2, blob: $0, transient) }
        upper?.withUnsafeBytes { _ = statement.bind(4, blob: $0, transient) }
    }
}
