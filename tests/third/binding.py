# SPDX-License-Identifier: MPL-2.0
"""binding.py LIBRARY HEADER...: a binding as others make them, with ctypes.

It resolves every function of the headers when it loads, services included, makes an
echo server and its client in the two-frame mode, and reads an int into 64 bits.
"""
import ctypes
import re
import sys

ZLINK_STREAM, DONTWAIT, SNDMORE = 11, 1, 2
RCVMORE, RCVTIMEO, LAST_ENDPOINT = 13, 27, 32
ENOTSUP = 95


def names(headers):
    """The functions that headers declare, as they are exported."""
    found = set()
    for header in headers:
        with open(header, encoding='utf-8') as file:
            text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
        found |= set(re.findall(r'ZLINK_EXPORT[^;]*?\b(zlink_\w+) \(', text))
    return sorted(found)


class Library:
    """Every function, with pointers for handles."""

    def __init__(self, path, headers):
        self.lib = ctypes.CDLL(path, use_errno=True)
        self.names = names(headers)
        for name in self.names:
            getattr(self.lib, name)  # AttributeError: it is not there
        for name in ('ctx_new', 'socket', 'registry_new', 'spot_node_new'):
            getattr(self.lib, 'zlink_' + name).restype = ctypes.c_void_p
        for name in ('error_detail', 'strerror'):
            getattr(self.lib, 'zlink_' + name).restype = ctypes.c_char_p

    def call(self, name, *args):
        result = getattr(self.lib, 'zlink_' + name)(*args)
        if result is None or result == -1:
            error = ctypes.get_errno()
            raise OSError(error, self.lib.zlink_error_detail().decode())
        return result


class Socket:
    def __init__(self, library, context):
        self.library = library
        self.handle = ctypes.c_void_p(library.call('socket', context, ZLINK_STREAM))
        limit = ctypes.c_int(30000)
        library.call('setsockopt', self.handle, RCVTIMEO, ctypes.byref(limit),
                     ctypes.c_size_t(4))

    def call(self, name, *args):
        return self.library.call(name, self.handle, *args)

    def text(self, option):
        buffer, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        self.call('getsockopt', option, buffer, ctypes.byref(size))
        return buffer.value

    def more(self):
        value, size = ctypes.c_int64(-1), ctypes.c_size_t(8)
        self.call('getsockopt', RCVMORE, ctypes.byref(value), ctypes.byref(size))
        assert size.value == 4, size.value
        return value.value

    def send(self, peer, body):
        self.call('send', peer, ctypes.c_size_t(len(peer)), SNDMORE)
        self.call('send', body, ctypes.c_size_t(len(body)), 0)

    def receive(self):
        buffer = ctypes.create_string_buffer(65536)
        size = self.call('recv', buffer, ctypes.c_size_t(255), 0)
        peer = buffer.raw[:size]
        assert self.more() == 1
        size = self.call('recv', buffer, ctypes.c_size_t(65536), 0)
        assert self.more() == 0
        return peer, buffer.raw[:size]


def refused(library, name, *args):
    try:
        library.call(name, *args)
    except OSError as error:
        return error.errno == ENOTSUP and error.strerror == 'services are not in this library'
    return False


def main(path, headers):
    library = Library(path, headers)
    context = ctypes.c_void_p(library.call('ctx_new'))
    server, client = Socket(library, context), Socket(library, context)
    server.call('bind', b'tcp://127.0.0.1:*')
    client.call('connect', server.text(LAST_ENDPOINT))
    to_client, event = server.receive()
    assert event == b'\x01', event
    to_server, event = client.receive()
    assert event == b'\x01', event
    for body in (b'hello', b'', b'x' * 50000):
        client.send(to_server, body)
        peer, got = server.receive()
        assert (peer, got) == (to_client, body)
        server.send(peer, got)
        assert client.receive() == (to_server, body)
    assert refused(library, 'registry_new', context)
    assert refused(library, 'spot_node_new', context)
    assert refused(library, 'gateway_send', None, b's', None, ctypes.c_size_t(0), 0)
    for socket in (server, client):
        library.call('close', socket.handle)
    library.call('ctx_term', context)
    print('ok binding (%d functions)' % len(library.names))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
