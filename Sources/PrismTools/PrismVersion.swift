/// What `prism --version` says and clients of the tools introduce themselves with.
public enum PrismVersion {
    public static let string = "0.1.0"
}
