import Foundation

/// The checkout that these tests were compiled from, as text.
enum Repository {
    static let root: URL = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every file under a folder of the checkout, relative to it, sorted; what is hidden or built is left out.
    static func files(under folder: String, suffix: String = "") -> [String] {
        let base = root.appendingPathComponent(folder)
        guard let found = FileManager.default.enumerator(atPath: base.path) else { return [] }
        return found.compactMap { $0 as? String }
            .filter { $0.hasSuffix(suffix) && !$0.split(separator: "/").contains { $0.hasPrefix(".") } }
            .filter { path in
                var isDirectory: ObjCBool = false
                _ = FileManager.default.fileExists(
                    atPath: base.appendingPathComponent(path).path, isDirectory: &isDirectory)
                return !isDirectory.boolValue
            }
            .map { folder.isEmpty ? $0 : "\(folder)/\($0)" }
            .sorted()
    }

    /// What git knows and is still there; nil outside of a git checkout, as in an unpacked archive.
    static func trackedFiles() throws -> [String]? {
        guard FileManager.default.fileExists(atPath: root.appendingPathComponent(".git").path) else { return nil }
        // A container's checkout often belongs to another user, which git refuses unless told.
        let listing = try Command.run(
            "git", "-c", "safe.directory=*", "-C", root.path, "ls-files", "-z", "--cached", "--others",
            "--exclude-standard")
        guard listing.status == 0 else { return nil }
        return listing.output.split(separator: "\0").map(String.init).filter {
            FileManager.default.fileExists(atPath: root.appendingPathComponent($0).path)
        }
    }

    /// The text of a file, or nil when it is not text.
    static func text(of path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: root.appendingPathComponent(path).path) else {
            return nil
        }
        return String(data: data, encoding: .utf8)
    }

    static func lines(of path: String) -> [Substring] {
        (text(of: path) ?? "").split(separator: "\n", omittingEmptySubsequences: false)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }
}
