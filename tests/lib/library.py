"""libpierre-db in this process, by ctypes: for tests that break what the library talks to while it
works."""
import ctypes
import json
import os

from .daemon import BUILD


class Error(ctypes.Structure):
    """struct pierre_error, with all members: the library writes each of them."""

    _fields_ = [
        ("kind", ctypes.c_int),
        ("code", ctypes.c_int),
        ("outcome", ctypes.c_int),
        ("retryable", ctypes.c_bool),
        ("ref", ctypes.c_uint64),
        ("message", ctypes.c_char * 320),
        ("path", ctypes.c_char * 160),
        ("field", ctypes.c_char * 32),
        ("index", ctypes.c_int),
    ]


DONE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def load():
    library = ctypes.CDLL(os.path.join(BUILD, "client", "libpierre-db.so"))
    handle, error = ctypes.c_void_p, ctypes.POINTER(Error)
    for name, result, arguments in (
        ("pierre_new", handle, [ctypes.c_char_p]),
        ("pierre_free", None, [handle]),
        ("pierre_set_timeouts", None, [handle, ctypes.c_uint, ctypes.c_uint]),
        ("pierre_set_repeats", None, [handle, ctypes.c_bool]),
        ("pierre_wait", ctypes.c_int, [handle, ctypes.c_int]),
        ("pierre_text_free", None, [ctypes.c_void_p]),
        (
            "pierre_answer_json",
            ctypes.c_int,
            [handle, ctypes.POINTER(ctypes.c_void_p), error],
        ),
        (
            "pierre_call_async",
            ctypes.c_int64,
            [handle, ctypes.c_char_p, ctypes.c_char_p, DONE, ctypes.c_void_p, error],
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Handle:
    """A handle with many calls under way. results: the number given to a call -> its result, or an
    Error."""

    def __init__(self, path, connect_ms, call_ms):
        self.library = load()
        self.handle = self.library.pierre_new(path.encode())
        self.library.pierre_set_timeouts(self.handle, connect_ms, call_ms)
        self.results = {}
        self.done = DONE(self._done)  # kept: the library holds no reference

    def close(self):
        self.library.pierre_free(self.handle)

    def _done(self, _, answer, number):
        text, error = ctypes.c_void_p(), Error()
        if self.library.pierre_answer_json(answer, ctypes.byref(text), ctypes.byref(error)) != 0:
            self.results[number or 0] = error
            return
        self.results[number or 0] = json.loads(ctypes.string_at(text.value).decode())
        self.library.pierre_text_free(text)

    def queue(self, number, method, params):
        error = Error()
        queued = self.library.pierre_call_async(
            self.handle,
            method.encode(),
            json.dumps(params).encode(),
            self.done,
            number,
            ctypes.byref(error),
        )
        assert queued > 0, error.message

    def wait(self):
        assert self.library.pierre_wait(self.handle, -1) == 0
