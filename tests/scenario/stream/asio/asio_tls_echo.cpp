/* SPDX-License-Identifier: MPL-2.0 */
/* The same over TLS, with Asio's OpenSSL streams. */
#include "server.hpp"
#include "tls_session.hpp"

#include <stdexcept>

namespace
{
class tls_state
{
  public:
    explicit tls_state (const config &config) : context_ (asio::ssl::context::tls_server)
    {
        if (!config.tls_cert || !config.tls_key)
            throw std::invalid_argument ("TLS_CERT and TLS_KEY are needed");
        context_.use_certificate_chain_file (config.tls_cert);
        context_.use_private_key_file (config.tls_key,
                                       asio::ssl::context::pem);
    }

    std::shared_ptr<tls_session> make_session (asio::ip::tcp::socket socket)
    {
        return std::make_shared<tls_session> (std::move (socket), context_);
    }

  private:
    asio::ssl::context context_;
};
}

int main (int argc, char **argv)
{
    return server_main<tls_state> (argc, argv);
}
