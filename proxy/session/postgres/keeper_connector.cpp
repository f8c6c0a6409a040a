#include "proxy/session/postgres/keeper_connector.hpp"

#include <utility>

namespace hyperdrive::proxy::session::postgres {

namespace {

class LoginConnector final : public KeeperConnector {
 public:
  explicit LoginConnector(std::shared_ptr<const OriginTarget> target)
      : target_(std::move(target)) {}

  void open(net::Loop& loop, Purpose purpose, Opened opened) override {
    StartupParameters extra = {{"client_encoding", "UTF8"}};
    std::unique_ptr<OriginLogin>* attempt = &questions_;
    if (purpose == Purpose::kReplication) {
      extra.emplace_back("replication", "database");
      attempt = &replication_;
    }
    *attempt =
        log_in(loop, target_, std::move(extra), [opened = std::move(opened)](LoginResult result) {
          if (!result) return opened(tl::unexpected(std::move(result.error().error)));
          opened(std::move(result->stream));
        });
  }

 private:
  std::shared_ptr<const OriginTarget> target_;
  std::unique_ptr<OriginLogin> questions_;
  std::unique_ptr<OriginLogin> replication_;
};

}  // namespace

std::unique_ptr<KeeperConnector> make_keeper_connector(std::shared_ptr<const OriginTarget> target) {
  return std::make_unique<LoginConnector>(std::move(target));
}

}  // namespace hyperdrive::proxy::session::postgres
