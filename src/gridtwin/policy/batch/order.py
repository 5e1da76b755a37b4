"""Who waits, and in which order: by submit time and by score."""

from gridtwin.policy.batch.call import call
from gridtwin.policy.batch.state import BY_NUMBER, FAIR, MOVING, STATIC, Jobs, Rule, State
from gridtwin.sim.kernel.jit import part

__all__ = ["arrive", "leave", "line_up", "sort_line", "use"]


@part
def arrive(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Let the next job come."""
    env, fifo = st.env, st.fifo
    k = env[b].arrived
    env[b].arrived = k + 1
    if rule.fifo:
        first, p = env[b].first, env[b].queued
        while p > 0 and jobs.submit[first + fifo[b, p - 1]] > jobs.submit[first + k]:
            fifo[b, p] = fifo[b, p - 1]
            p -= 1
        fifo[b, p] = k
    env[b].queued += 1


@part
def leave(st: State, rule: Rule, b: int, k: int) -> None:
    """Take a job out of the queue."""
    env, fifo, line = st.env, st.fifo, st.line
    if rule.fifo:
        p = 0
        while fifo[b, p] != k:
            p += 1
        for q in range(p, env[b].queued - 1):
            fifo[b, q] = fifo[b, q + 1]
    env[b].queued -= 1
    if k < env[b].lined:
        p = 0
        while line[b, p] != k:
            p += 1
        env[b].inline -= 1
        for q in range(p, env[b].inline):
            line[b, q] = line[b, q + 1]


@part
def _before(st: State, jobs: Jobs, rule: Rule, b: int, k: int, other: int) -> bool:
    """Tell whether a job goes before another one that stands before it."""
    mine, its = st.score[b, k], st.score[b, other]
    if mine != its:
        return mine < its
    if rule.ties:
        first = st.env[b].first
        x, y = jobs.submit[first + k], jobs.submit[first + other]
        if x != y:
            return x < y
    if rule.ties == BY_NUMBER:
        return k < other
    return st.env[b].placed != 0 and st.place[b, k] < st.place[b, other]


@part
def sort_line(st: State, jobs: Jobs, rule: Rule, b: int, begin: int) -> None:
    """Sort the line, in order before `begin`; stable, and quick where little is out of order."""
    line = st.line
    for p in range(max(begin, 1), st.env[b].inline):
        k = line[b, p]
        if not _before(st, jobs, rule, b, k, line[b, p - 1]):
            continue
        low, high = 0, p - 1
        while low < high:
            middle = (low + high) >> 1
            if _before(st, jobs, rule, b, k, line[b, middle]):
                high = middle
            else:
                low = middle + 1
        for q in range(p, low, -1):
            line[b, q] = line[b, q - 1]
        line[b, low] = k


@part
def _score(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Score all in the line anew."""
    first, now = st.env[b].first, st.env[b].now
    for p in range(st.env[b].inline):
        k = st.line[b, p]
        j = first + k
        if rule.kind == MOVING:
            s = jobs.submit[j]
            wait = max(now - s, 0.0)
            st.score[b, k] = call(
                rule.address, jobs.request[j], jobs.width[j], s - rule.origin, wait
            )
        else:
            used, since = st.usage[b, jobs.user[j], 0], st.usage[b, jobs.user[j], 1]
            st.score[b, k] = used * 0.5 ** ((now - since) / rule.half_life)


@part
def _group(st: State, jobs: Jobs, b: int, begin: int) -> None:
    """Sort jobs of one submit time by score within `fifo`, stable."""
    fifo, first = st.fifo, st.env[b].first
    for p in range(max(begin, 1), st.env[b].queued):
        k = fifo[b, p]
        submit, score, q = jobs.submit[first + k], st.score[b, k], p
        while q > 0 and score < st.score[b, fifo[b, q - 1]]:
            if jobs.submit[first + fifo[b, q - 1]] != submit:
                break
            fifo[b, q] = fifo[b, q - 1]
            q -= 1
        fifo[b, q] = k


@part
def line_up(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Sort all that wait by score.

    With ``compat`` the outcome is that of sorting one list in turns by score and by submit time,
    each time leaving equal ones as they stand.
    """
    env = st.env
    if env[b].lined == env[b].arrived and rule.kind == STATIC and rule.steady:
        env[b].timed = 0
        return
    known, waiting = env[b].inline, env[b].queued
    for k in range(env[b].lined, env[b].arrived):
        if st.start[b, k] != st.start[b, k]:
            st.line[b, env[b].inline] = k
            env[b].inline += 1
    env[b].lined = env[b].arrived
    anew = rule.kind != STATIC
    if anew:
        _score(st, jobs, rule, b)
    if env[b].timed and (anew or not rule.steady):
        for p in range(waiting):
            st.place[b, st.fifo[b, p]] = p
        env[b].placed = 1
        anew = True
    sort_line(st, jobs, rule, b, 0 if anew else known)
    if rule.fifo and rule.compat:
        _group(st, jobs, b, 0 if anew or not rule.steady else known)
    env[b].placed = env[b].timed = 0


@part
def use(st: State, jobs: Jobs, rule: Rule, b: int, j: int) -> None:
    """Count what a job asks for as used by its user from now on."""
    if rule.kind == FAIR:
        now, user = st.env[b].now, jobs.user[j]
        decay = 0.5 ** ((now - st.usage[b, user, 1]) / rule.half_life)
        area = jobs.request[j] * jobs.need[j]
        st.usage[b, user, 0] = st.usage[b, user, 0] * decay + area
        st.usage[b, user, 1] = now
