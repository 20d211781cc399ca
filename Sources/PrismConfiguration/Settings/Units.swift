// Short constructors for the settings table; explicit result types keep it quick to type-check.

func kib(_ count: Int) -> Int { count << 10 }
func mib(_ count: Int) -> Int { count << 20 }
func gib(_ count: Int) -> Int { count << 30 }

func microseconds(_ count: UInt64) -> UInt64 { count * 1_000 }
func milliseconds(_ count: UInt64) -> UInt64 { count * 1_000_000 }
func seconds(_ count: UInt64) -> UInt64 { count * 1_000_000_000 }
func minutes(_ count: UInt64) -> UInt64 { seconds(60 * count) }
func hours(_ count: UInt64) -> UInt64 { seconds(3_600 * count) }
