"""The orders in which a pod ends, and which answers an app may get in which phase. The tests replay them; docs/draining.md prints them."""

PHASES = ("SERVING", "LAME_DUCK", "DRAINING", "CANCELLING")
# Nothing but OK.
OK = ()
REFUSED = ("UNAVAILABLE",)
# No answer, only in the phase in which the sidecar is killed: its connections end, what was in flight is UNKNOWN.
LOST = ("LOST",)


class Order:
    """One row. `hook`, `app_hook`: wait, drain, fails, overruns, short or None. `app`: ends, late (never by itself), job.
    `allowed`: by phase what an app may get beside OK; where a phase is missing, no app is answered in it.
    `crash`: None, before (the pod ends while the sidecar is being started again), or ending (it is not started again)."""

    def __init__(self, name, title, mode, allowed, hook=None, app_hook=None, app="ends", crash=None, by_itself=False):
        self.name, self.title, self.mode, self.allowed = name, title, mode, allowed
        self.hook, self.app_hook, self.app, self.crash = hook, app_hook, app, crash
        # The sidecar is to end without a SIGTERM.
        self.by_itself = by_itself

    @property
    def outlives(self):
        """Whether apps are still there when the sidecar drains."""
        return "DRAINING" in self.allowed

    @property
    def is_cut(self):
        """Whether apps are still there when it cancels: a native sidecar gets its SIGTERM when a late app gets SIGKILL."""
        return self.outlives and not (self.mode == "native" and self.app == "late")


WORKING = {"SERVING": OK, "LAME_DUCK": OK}
CUT = {"SERVING": OK, "LAME_DUCK": OK, "DRAINING": REFUSED, "CANCELLING": REFUSED}

ORDERS = (
    Order("native", "native sidecar; both have hooks, the app works on after SIGTERM and exits", "native", WORKING,
          hook="drain", app_hook="short"),
    Order("native_hook_fails", "native; the sidecar's hook fails", "native", {"SERVING": OK}, hook="fails", app_hook="short"),
    Order("native_app_hook_fails", "native; the app's hook fails: SIGTERM at once", "native", WORKING,
          hook="drain", app_hook="fails"),
    Order("native_app_hook_overruns", "native; the app's hook uses up the grace period: SIGTERM for both, SIGKILL 2 s later",
          "native", CUT, hook="drain", app_hook="overruns"),
    Order("native_app_late", "native; the app works on until SIGKILL at the end of the grace period", "native", CUT,
          hook="drain", app="late"),
    Order("native_crash", "native; the sidecar crashes, and the pod ends while it is started again beside the stale socket",
          "native", {"SERVING": LOST, "LAME_DUCK": OK}, hook="drain", app_hook="short", crash="before"),
    Order("native_crash_ending", "native; the sidecar crashes in LAME_DUCK and is not started again", "native",
          {"SERVING": OK, "LAME_DUCK": LOST}, hook="drain", app_hook="short", crash="ending"),
    Order("native_job", "native; a Job's app exits by itself", "native", {"SERVING": OK}, hook="drain", app="job"),
    Order("classic", "plain container; both have hooks", "classic", WORKING, hook="wait", app_hook="short"),
    Order("classic_no_hooks", "plain container; no hooks: SIGTERM for both at once", "classic", WORKING),
    Order("classic_hook_fails", "plain container; the sidecar's hook fails: SIGTERM at once", "classic", WORKING,
          hook="fails", app_hook="short"),
    Order("classic_hook_early", "plain container; the hook is `prism drain` without `--wait`: SIGTERM in LAME_DUCK", "classic",
          WORKING, hook="drain", app_hook="short"),
    Order("classic_app_late", "plain container; the app works on until SIGKILL at the end of the grace period", "classic", CUT,
          hook="wait", app="late"),
    Order("classic_app_hook_overruns", "plain container; the app's hook uses up the grace period", "classic", CUT,
          hook="wait", app_hook="overruns"),
    Order("classic_crash", "plain container; the sidecar crashes, and the pod ends while it is started again", "classic",
          {"SERVING": LOST, "LAME_DUCK": OK}, hook="wait", app_hook="short", crash="before"),
    Order("classic_job", "plain container; a Job whose last step is `prism drain`", "classic", WORKING, app="job",
          by_itself=True),
)


def markdown():
    """The table as the documentation has it."""
    lines = ["| Order | " + " | ".join(f"`{phase}`" for phase in PHASES) + " |", "|---" * (len(PHASES) + 1) + "|"]
    for order in ORDERS:
        cells = []
        for phase in PHASES:
            codes = order.allowed.get(phase)
            if codes is None:
                cells.append("–")
            elif "LOST" in codes:
                cells.append("OK; connections end")
            else:
                cells.append(", ".join(("OK", *(f"`{code}`" for code in codes))))
        lines.append(f"| {order.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
