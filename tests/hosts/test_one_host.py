"""Several instances on one host, with nothing but its loopback interface."""

from ring import await_ring, start_together


def test_two_instances_on_127_0_0_1_find_each_other(lab):
    instances = lab.make_instances(2)
    view = start_together(instances)
    assert all(member["address"].startswith("127.0.0.1:") for member in view["members"])
    tails = [instance.tail("-n", "1") for instance in instances]
    assert instances[0].send("hello, neighbour")["members"] == 2
    for tail in tails:
        tail.wait_for_text("hello, neighbour")


def test_two_instances_on_a_host_with_a_network_find_each_other(lab):
    start_together(lab.make_instances(2, with_network=True))


def test_instances_that_listen_on_127_0_0_1_find_each_other_there(lab):
    instances = lab.make_instances(3, with_network=True)
    for instance in instances:
        instance.arguments += ["--listen", "127.0.0.1"]
    view = start_together(instances)
    assert all(member["address"].startswith("127.0.0.1:") for member in view["members"])


def test_five_instances_started_one_by_one_become_one_ring(lab):
    instances = lab.make_instances(5)
    for count, instance in enumerate(instances, 1):
        instance.start()
        await_ring(instances[:count])


def test_an_instance_that_was_killed_comes_back(lab):
    instances = lab.make_instances(3)
    start_together(instances)
    instances[1].kill()
    await_ring([instances[0], instances[2]])
    instances[1].start()
    await_ring(instances)


def test_instances_of_another_ring_name_stay_apart(lab):
    ours, others = lab.make_instances(4)[:2], lab.hosts[2:4]
    for instance in others:
        instance.arguments += ["--ring", "others"]
    for instance in lab.hosts:
        instance.launch()
    for instance in lab.hosts:
        instance.await_ready()
    await_ring(ours)
    await_ring(others)
