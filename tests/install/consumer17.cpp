/* SPDX-License-Identifier: MPL-2.0 */
/* A C++17 program that finds zlink.hpp beside an installed zlink.h. */
#include <zlink.hpp>

int main ()
{
    zlink::context context = zlink::context::open ().value ();
    zlink::socket server = zlink::socket::open (context).value ();
    return server.bind ("tcp://127.0.0.1:*") ? 0 : 1;
}
