import Foundation
import Testing

@Suite struct DocumentTests {
    static let documents = ((try? Repository.trackedFiles()) ?? nil) ?? Repository.files(under: "")

    @Test("links between documents resolve, down to the heading")
    func linksResolve() throws {
        for path in Self.documents where path.hasSuffix(".md") {
            var isInCode = false
            for (index, line) in Repository.lines(of: path).enumerated() {
                if line.drop(while: { $0 == " " }).hasPrefix("```") { isInCode.toggle() }
                guard !isInCode else { continue }
                for match in line.matches(of: #/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/#) {
                    let link = String(match.1)
                    guard !link.contains("://"), !link.hasPrefix("mailto:") else { continue }
                    let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                    let folder = URL(fileURLWithPath: "/" + path).deletingLastPathComponent()
                    let target =
                        parts[0].isEmpty
                        ? path : String(folder.appendingPathComponent(String(parts[0])).standardized.path.dropFirst())
                    guard Repository.exists(target) else {
                        Issue.record("\(path):\(index + 1): \(link) leads nowhere")
                        continue
                    }
                    guard parts.count == 2, target.hasSuffix(".md") else { continue }
                    #expect(
                        Self.anchors(of: target).contains(String(parts[1])),
                        "\(path):\(index + 1): \(target) has no heading #\(parts[1])")
                }
            }
        }
    }

    /// The anchors as GitHub makes them: lower case, punctuation dropped, spaces to hyphens.
    private static func anchors(of path: String) -> Set<String> {
        var anchors: Set<String> = []
        for line in Repository.lines(of: path) where line.hasPrefix("#") {
            let title = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
            anchors.insert(
                String(title.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" })
                    .replacingOccurrences(of: " ", with: "-"))
        }
        return anchors
    }

    /// A path of the machine that a file was written on helps nobody else, and tells of its owner.
    @Test("no committed file names a path of somebody's machine")
    func noMachinePaths() throws {
        var marks = ["home", "Users"].map { "/\($0)/" }
        // The folder at the top of this checkout, unless every system has one of that name.
        let standard = [
            "tmp", "var", "opt", "usr", "srv", "mnt", "root", "run", "home", "Users", "src", "build", "app",
        ]
        let components = Repository.root.pathComponents
        if components.count > 2, !standard.contains(components[1]) { marks.append("/\(components[1])/") }
        for path in Self.documents {
            guard let text = Repository.text(of: path) else { continue }
            for mark in marks where text.contains(mark) {
                for (index, line) in Repository.lines(of: path).enumerated() {
                    // Not as a part of a longer path such as a URL or etc/home/.
                    let escaped = NSRegularExpression.escapedPattern(for: mark)
                    guard line.range(of: "(^|[^A-Za-z0-9._~:/}$-])" + escaped, options: .regularExpression) != nil
                    else {
                        continue
                    }
                    Issue.record("\(path):\(index + 1): names \(mark)")
                }
            }
        }
    }
}
