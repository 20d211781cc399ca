/// An array's elements for one operation: whether it is shared has been asked once, not at every change. Checked as the array's are.
struct Places<Element> {
    private let base: UnsafeMutablePointer<Element>?
    private let count: Int

    fileprivate init(_ buffer: UnsafeMutableBufferPointer<Element>) {
        (base, count) = (buffer.baseAddress, buffer.count)
    }

    subscript(_ index: Int) -> Element {
        @inline(__always) get { place(index).pointee }
        @inline(__always) nonmutating _modify { yield &place(index).pointee }
    }

    @inline(__always)
    private func place(_ index: Int) -> UnsafeMutablePointer<Element> {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "no such place")
        return base.unsafelyUnwrapped + index  // There are places.
    }
}

extension Array {
    /// What is given must not be kept.
    @inline(__always)
    mutating func withPlaces<Result>(_ body: (Places<Element>) -> Result) -> Result {
        withUnsafeMutableBufferPointer { body(Places($0)) }
    }
}
