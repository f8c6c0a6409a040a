// Opens origin connections for the pool, with the target of the options in force.
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "proxy/pool/pool.hpp"
#include "proxy/session/postgres/worker.hpp"

namespace hyperdrive::proxy::session::postgres {

class OriginOpener final : public pool::Opener {
 public:
  explicit OriginOpener(Service& service);
  ~OriginOpener() override;

  void open(std::size_t worker, Done done) override;

 private:
  struct Attempt;
  void finished(Worker& worker, std::list<std::unique_ptr<Attempt>>::iterator attempt);

  Service& service_;
  std::mutex mutex_;  // the list; an attempt itself belongs to its worker
  std::list<std::unique_ptr<Attempt>> attempts_;
};

}  // namespace hyperdrive::proxy::session::postgres
