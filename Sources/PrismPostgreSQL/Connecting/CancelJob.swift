/// One cancel that is asked for.
struct CancelJob: Sendable {
    let handle: CancelHandle
    let ticket: HelperTicket
    let inbox: HelperInbox

    func report() { inbox.report(.cancelReturned(ticket)) }
}
