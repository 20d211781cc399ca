import PrismWire

/// The key-value operations on one connection.
extension ServerSession {
    func sendKeyValueUnit(_ unit: Int, _ job: Job, _ request: RequestMessage) throws(Failure) {
        throw Failure(.unimplemented, at: .execute, "key-value is not served on PostgreSQL yet")
    }
    func receivedKeyValueRow(_ row: ServerRow, _ unit: Int, _ job: Job) throws(Failure) {}
    func keyValueCompleted(_ unit: Int, _ job: Job) throws(Failure) {}
    func setKeyValue(_ job: Job) throws(Failure) {}
    func explained(_ row: ServerRow) {}
}
