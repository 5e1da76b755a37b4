from gridtwin.sim.kernel import compiled


def double(x):
    return 2 * x


def test_machine_code_is_kept_between_processes():
    function = compiled(double)
    assert function(3) == 6
    assert function.stats.cache_path


def test_without_a_place_to_keep_it_the_function_is_compiled_all_the_same():
    scope = {}
    exec("def triple(x):\n    return 3 * x\n", scope)  # has no file, so nothing to keep beside
    function = compiled(scope["triple"])
    assert function(3) == 9
    assert function.nopython_signatures
    assert function.stats.cache_path is None
