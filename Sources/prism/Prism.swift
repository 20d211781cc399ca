@main struct Prism { static func main() {} }
