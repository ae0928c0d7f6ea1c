from threading import Thread

from unetseg.prediction.conflicts import in_turn


def test_who_asks_for_a_folder_that_is_taken_goes_on_when_it_is_free(tmp_path):
    order = []

    def ask():
        with in_turn(tmp_path):
            order.append("second")

    second = Thread(target=ask)
    with in_turn(tmp_path):
        second.start()
        second.join(0.1)
        order.append("first")
    second.join()
    assert order == ["first", "second"]
