"""Change a platform: a site more, other links, other storages."""

from dataclasses import replace

from gridtwin.core.errors import InputError
from gridtwin.sim import Link, Platform, Pool, Route, Site

__all__ = ["site_of", "with_links", "with_share", "with_site", "with_storages"]


def site_of(platform: Platform, name: str, at: str) -> Site:
    """Return a site by name, or raise `InputError` that names the key `at`."""
    for site in platform.sites:
        if site.name == name:
            return site
    names = platform.names
    known = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise InputError(f"{at}: there is no site {name!r} in the platform; it has {known}")


def with_share(platform: Platform, share: float, least: int = 1) -> Platform:
    """Return a platform with a share of the cores, `least` or more a pool that had as many."""
    if share == 1.0:
        return platform
    sites = []
    for site in platform.sites:
        pools = []
        for pool in site.pools:
            total = pool.cores * pool.hosts
            if pool.hosts > 1:
                hosts = max(1, round(pool.hosts * share))
                pools.append(replace(pool, hosts=hosts))
            else:
                cores = max(min(least, total), round(total * share))
                pools.append(replace(pool, cores=cores))
        sites.append(replace(site, pools=tuple(pools)))
    return replace(platform, sites=tuple(sites))


def with_site(
    platform: Platform, name: str, cores: int, speed: float | None, like: str | None
) -> Platform:
    """Add a site of one pool, with copies of the links and routes of another one.

    Without a speed it has that of the other one, else the mean speed.
    """
    model = None if like is None else site_of(platform, like, "whatif.new.like")
    if speed is None:
        speed = _mean_speed(platform) if model is None else model.speed
    site = Site(name, (Pool(cores, speed=speed),))
    if model is None:
        return replace(platform, sites=(*platform.sites, site))
    own = {link: f"{name}/{link}" for link in _own_links(platform, model)}
    links = [_copied(link, own, model.name, name) for link in platform.links if link.name in own]
    routes = [_rerouted(r, own, model.name, name) for r in platform.routes if _at(r, model.name)]
    lan = None if model.lan is None else own.get(model.lan, model.lan)
    site = replace(site, lan=lan, country=model.country, tier=model.tier)
    return replace(
        platform,
        sites=(*platform.sites, site),
        links=(*platform.links, *links),
        routes=(*platform.routes, *routes),
    )


def with_links(
    platform: Platform,
    *,
    link: str | None,
    site: str | None,
    factor: float,
    bandwidth: float | None,
) -> Platform:
    """Change a link, or all links of a site."""
    if site is not None:
        chosen = _own_links(platform, site_of(platform, site, "whatif.link.site"))
        if not chosen:
            raise InputError(f"whatif.link.site: {site!r} has no links of its own; name a link")
    elif link in {one.name for one in platform.links}:
        chosen = {str(link)}
    else:
        raise InputError(f"whatif.link.link: there is no link {link!r} in the platform")
    links = tuple(
        replace(one, bandwidth=factor * (one.bandwidth if bandwidth is None else bandwidth))
        if one.name in chosen
        else one
        for one in platform.links
    )
    return replace(platform, links=links)


def with_storages(
    platform: Platform,
    site: str,
    storage: str | None,
    *,
    factor: float,
    capacity: float | None,
    read: float | None,
    write: float | None,
) -> Platform:
    """Change the storages of a site, or one of them."""
    old = site_of(platform, site, "whatif.storage.site")
    if not any(storage in (None, one.name) for one in old.storages):
        raise InputError(f"whatif.storage: {site!r} has no storage {storage or ''}; add one")
    changed = []
    for one in old.storages:
        if storage in (None, one.name):
            size = one.capacity if capacity is None else capacity
            one = replace(
                one,
                capacity=None if size is None else size * factor,
                read=one.read if read is None else read,
                write=one.write if write is None else write,
            )
        changed.append(one)
    new = replace(old, storages=tuple(changed))
    sites = tuple(new if one is old else one for one in platform.sites)
    return replace(platform, sites=sites)


def _mean_speed(platform: Platform) -> float | None:
    known = [(site.speed, site.cores) for site in platform.sites if site.speed is not None]
    total = sum(cores for _, cores in known)
    return sum(speed * cores for speed, cores in known) / total if total else None


def _own_links(platform: Platform, site: Site) -> set[str]:
    """Return the links of a site: those that end there, and the near ones of its routes alone."""
    ends = {link.name: link.ends for link in platform.links}
    near: set[str] = set()
    far: set[str] = set()
    for route in platform.routes:
        crossed = [_bare(name) for name in route.links]
        if route.destination == site.name:
            crossed.reverse()
        half = (len(crossed) + 1) // 2 if _at(route, site.name) else 0
        near.update(crossed[:half])
        far.update(crossed[half:])
    own = {name for name in near - far if ends[name] is None}
    own |= {name for name, both in ends.items() if both is not None and site.name in both}
    return own if site.lan is None else own | {site.lan}


def _at(route: Route, site: str) -> bool:
    return site in (route.source, route.destination)


def _bare(name: str) -> str:
    return name.removesuffix(":up").removesuffix(":down")


def _copied(link: Link, own: dict[str, str], model: str, name: str) -> Link:
    ends = link.ends
    if ends is not None:
        first, second = (name if end == model else end for end in ends)
        ends = (first, second)
    return replace(link, name=own[link.name], ends=ends)


def _rerouted(route: Route, own: dict[str, str], model: str, name: str) -> Route:
    links = []
    for crossed in route.links:
        bare = _bare(crossed)
        links.append(own.get(bare, bare) + crossed[len(bare) :])
    source, destination = (name if x == model else x for x in (route.source, route.destination))
    return replace(route, source=source, destination=destination, links=tuple(links))
