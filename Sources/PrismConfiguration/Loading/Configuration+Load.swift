extension Configuration {
    /// Reads all layers: flags before environment before file before defaults.
    ///
    /// Blocks on reading the file, so not for a reactor's thread.
    /// - Parameters:
    ///   - file: path of the YAML file, at most 1 MiB; `nil`: none.
    ///   - environment: `PRISM_SECTION_KEY` variables are read; empty ones count as not set.
    ///   - overrides: flags of the command line.
    /// - Throws: everything that is wrong, with place and remedy.
    public static func load(
        file: String?, environment: [String: String], overrides: Overrides
    ) throws(ConfigurationErrors) -> Configuration {
        var loader = ConfigurationLoader()
        if let file {
            do throws(ConfigurationError) {
                loader.applyFile(try FileReader.read(file, bytesMax: YAMLReader.fileBytesMax), name: file)
            } catch {
                loader.errors.append(error)
                loader.isReadable = false
            }
        }
        loader.applyEnvironment(environment)
        loader.applyOverrides(overrides)
        return try loader.finish()
    }

    /// The file's layer alone, over the defaults.
    public static func parse(yaml: [UInt8], fileName: String) throws(ConfigurationErrors) -> Configuration {
        var loader = ConfigurationLoader()
        loader.applyFile(yaml, name: fileName)
        return try loader.finish()
    }
}
