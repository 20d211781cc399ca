import PrismReactor
import Testing

@testable import PrismPostgreSQL

@Suite struct TokenTests {
    @Test func aTokenCarriesItsParts() throws {
        for backend in [0, 63, BackendToken.backendsMax - 1] {
            for slot in [0, 1, BackendToken.slotsMax - 1] {
                for generation in [1, UInt32.max] {
                    let token = BackendToken(backend: backend, slot: slot, generation: generation)
                    #expect(token.backend == backend)
                    #expect(token.slot == slot)
                    #expect(token.generation == generation)
                    #expect(token.rawValue < Reactor.reservedTokensStart)
                    #expect(BackendToken(rawValue: token.rawValue) == token)
                }
            }
        }
    }

    @Test func aClientsTokenIsNotOne() {
        #expect(BackendToken(rawValue: 0x7FFF_FFFF_FFFF_FFFF) == nil)
        #expect(BackendToken(rawValue: 1) == nil)
    }

    @Test func warningsAreBoundedButThoseOfReplicationAreKept() {
        var notices = NoticeBuffer()
        for number in 0..<1_000 {
            notices.add(NoticeBuffer.Notice(sqlState: "\(number)", sourceFunction: "exec_stmt_raise"))
        }
        let doubt = NoticeBuffer.Notice(sqlState: "01000", sourceFunction: "SyncRepWaitForLSN")
        notices.add(doubt)
        notices.add(doubt)
        #expect(notices.notices.count == NoticeBuffer.noticesMax + 1)
        #expect(notices.take().last == doubt)
        #expect(notices.isEmpty)
    }
}
