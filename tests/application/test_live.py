"""The report of a run on this machine alone."""

import http.client
import threading

import pytest

from fastitpn.application.live import serving_report
from fastitpn.errors import InputError


@pytest.fixture
def server(tmp_path):
    (tmp_path / "config.yaml").write_text("model: it\n")
    with serving_report(tmp_path, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content, answer.headers


def test_the_report_is_served_and_its_version_changes(server, tmp_path):
    assert "it comes with the first evaluation" in ask(server, "/report.html")[1]
    assert ask(server, "/version")[1] == "none"
    (tmp_path / "report.html").write_text("first")
    before = ask(server, "/version")[1]
    (tmp_path / "report.html").write_text("the second")
    assert ask(server, "/version")[1] != before
    assert ask(server, "/report.html")[:2] == (200, "the second")
    status, page, headers = ask(server, "/", host=f"localhost:{server.server_port}")
    assert status == 200
    assert '<iframe src="report.html"' in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", "localhost"])
def test_other_names_of_this_machine_are_refused(server, host):
    assert ask(server, "/report.html", host)[0] == 400


@pytest.mark.parametrize("path", ["/config.yaml", "/../config.yaml", "/report.html/..", "/version?x"])
def test_nothing_else_is_served(server, path):
    assert ask(server, path)[0] == 404


def test_it_listens_on_this_machine_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_and_a_folder_without_a_run(server, tmp_path):
    with pytest.raises(InputError, match="cannot listen at") as error, serving_report(tmp_path, server.server_port):
        pass
    assert error.value.fix == "port=0 for a free port"
    with pytest.raises(InputError, match="this is not a run directory"), serving_report(tmp_path / "none", 0):
        pass
