// A clock, a host on the control port and the memory of hardware/README.md around a Verilated
// vta_top, behind a C interface: crates/vta-rtl/src/library.rs declares the other side of it.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vvta.h"
#include "verilated.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
#endif

// DRAM is dram[0 .. bytes] at the physical address base.
struct Memory {
  uint8_t* dram;
  uint64_t base;
  uint64_t bytes;
  uint64_t latency;
  // Cycles by which the memory holds up a burst; channel 0 reads, 1 writes. None without it.
  uint32_t (*stall)(uint64_t seed, uint32_t channel, uint64_t burst);
  uint64_t seed;
  // Not 0: the seed of a memory without manners. It makes everyone wait at random, on every channel.
  uint64_t unruly;
};

enum Status : uint32_t { Done = 0, CycleLimit = 1, Broken = 2 };

namespace {

constexpr uint32_t kDecodeError = 3;
constexpr uint32_t kIncrementing = 1;
constexpr uint64_t kPage = 4096;
// More than any register access takes.
constexpr unsigned kControlLimit = 64;

// Scalars and wide ports alike hold their bytes in order, as the host is little-endian.
template <typename Port>
uint8_t* bytes_of(Port& port) {
  return reinterpret_cast<uint8_t*>(&port);
}

// Thrown out of an evaluation that Verilator's runtime would end the process for.
struct Stopped {
  std::string why;
};

class Model {
 public:
  explicit Model(const char* wave) {
    context_.reset(new VerilatedContext);
    context_->traceEverOn(wave != nullptr);
    top_.reset(new Vvta(context_.get()));
#if VM_TRACE_FST
    if (wave != nullptr) {
      trace_.reset(new VerilatedFstC);
      top_->trace(trace_.get(), 99);
      trace_->open(wave);
    }
#endif
    reset();
  }

  ~Model() {
    top_->final();
#if VM_TRACE_FST
    if (trace_) trace_->close();
#endif
  }

  // As after power-up: registers reset, memories zero.
  void reset() {
    error_.clear();
    forget_bursts();
    top_->rst_ni = 0;
    for (int i = 0; i < 4; ++i) tick();
    clear();
    top_->rst_ni = 1;
    tick();
  }

  // Memories zero, everything else as it is.
  void clear() {
    for (const auto& scope : *context_->scopeNameMap()) {
      if (VerilatedVar* var = scope.second->varFind("mem")) {
        std::memset(var->datap(), 0, var->totalSize());
      }
    }
  }

  bool write(uint32_t offset, uint32_t value) {
    top_->s_axil_awaddr = offset;
    top_->s_axil_wdata = value;
    top_->s_axil_wstrb = 0xf;
    top_->s_axil_awvalid = top_->s_axil_wvalid = top_->s_axil_bready = 1;
    bool address = false, data = false, response = false;
    for (unsigned i = 0; i < kControlLimit && !response; ++i) {
      settle();
      bool address_now = top_->s_axil_awvalid && top_->s_axil_awready;
      bool data_now = top_->s_axil_wvalid && top_->s_axil_wready;
      response = address && data && top_->s_axil_bvalid;
      if ((address_now || data_now) && (address || address_now) && (data || data_now)) {
        accepted();
      }
      address |= address_now;
      data |= data_now;
      step();
      top_->s_axil_awvalid = !address;
      top_->s_axil_wvalid = !data;
    }
    top_->s_axil_bready = 0;
    require(response, "the control port does not answer a write");
    return error_.empty();
  }

  bool read(uint32_t offset, uint32_t* value) {
    top_->s_axil_araddr = offset;
    top_->s_axil_arvalid = top_->s_axil_rready = 1;
    bool response = false;
    for (unsigned i = 0; i < kControlLimit && !response; ++i) {
      settle();
      bool address = top_->s_axil_arvalid && top_->s_axil_arready;
      response = top_->s_axil_rvalid;
      if (response) *value = top_->s_axil_rdata;
      step();
      if (address) top_->s_axil_arvalid = 0;
    }
    top_->s_axil_rready = 0;
    require(response, "the control port does not answer a read");
    return error_.empty();
  }

  Status launch(uint32_t offset, uint32_t value, const Memory& memory, uint64_t max_cycles) {
    memory_ = memory;
    for (auto& cycles : retired_) cycles.clear();
    launching_ = true;
    bool written = write(offset, value);
    // The interrupt of the run before falls with the launch.
    while (written && error_.empty() && !interrupt_ && now_ < max_cycles) tick();
    if (!error_.empty()) return Broken;
    return interrupt_ ? Done : CycleLimit;
  }

  const std::string& error() const { return error_; }
  const std::vector<uint64_t>& retired(uint32_t module) const { return retired_[module]; }

  // The array `mem` of the instance whose path ends in `path`.
  const void* memory(const char* path, uint64_t* bytes) const {
    std::string suffix = std::string(".") + path;
    for (const auto& entry : *context_->scopeNameMap()) {
      std::string name = entry.first;
      if (name.size() < suffix.size()) continue;
      if (name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) continue;
      if (VerilatedVar* var = entry.second->varFind("mem")) {
        *bytes = var->totalSize();
        return var->datap();
      }
    }
    return nullptr;
  }

 private:
  struct Burst {
    uint64_t address;
    uint64_t beats;
    uint64_t accepted;
  };
  struct Response {
    uint64_t cycle;
    uint32_t code;
  };
  // What a channel offers must not change while it waits.
  struct Offer {
    bool waits;
    uint64_t first, second;

    void follow(Model& model, bool valid, bool ready, uint64_t a, uint64_t b) {
      bool same = valid && a == first && b == second;
      model.require(!waits || same, "an offer is taken back before it is accepted");
      *this = {valid && !ready, a, b};
    }
  };

  // Cycle 0 begins now.
  void accepted() {
    if (!launching_) return;
    launching_ = interrupt_ = false;
    now_ = 0;
    forget_bursts();
    write_stall_ = stall(1, 0);
  }

  void forget_bursts() {
    reads_.clear();
    writes_.clear();
    responses_.clear();
    read_burst_ = write_burst_ = read_free_ = write_stall_ = 0;
    read_timed_ = read_offered_ = response_offered_ = false;
    read_address_ = write_address_ = write_data_ = {};
    write_code_ = 0;
    random_ = memory_.unruly;
  }

  void tick() {
    settle();
    step();
  }

  // One cycle has two halves. The first: inputs are driven and outputs follow.
  void settle() {
    drive();
    top_->clk_i = 0;
    eval();
  }

  // The second: what happened is noted, and registers take their inputs.
  void step() {
    sample();
    top_->clk_i = 1;
    eval();
    ++now_;
  }

  void eval() {
    try {
      top_->eval();
    } catch (const Stopped& stopped) {
      require(false, stopped.why.c_str());
    }
#if VM_TRACE_FST
    if (trace_) trace_->dump(context_->time());
#endif
    context_->timeInc(1);
  }

  void drive() {
    top_->m_axi_arready = willing();
    top_->m_axi_awready = willing();
    if (!reads_.empty() && !read_timed_) {
      uint64_t earliest = reads_.front().accepted + 1 + memory_.latency;
      read_valid_ = std::max(earliest, read_free_) + stall(0, read_burst_++);
      read_timed_ = true;
    }
    // What is offered stays offered until it is taken.
    read_offered_ = read_offered_ || (read_timed_ && now_ >= read_valid_ && willing());
    top_->m_axi_rvalid = read_offered_;
    if (read_offered_) {
      const Burst& burst = reads_.front();
      top_->m_axi_rresp = copy(burst.address, [this](size_t i, uint8_t* byte) {
        bytes_of(top_->m_axi_rdata)[i] = byte != nullptr ? *byte : 0;
      });
      top_->m_axi_rlast = burst.beats == 1;
    }
    // A beat that comes with its address is taken with it; the unruly take the address first.
    top_->m_axi_wready = write_stall_ == 0 && (memory_.unruly == 0 || !writes_.empty()) && willing();
    response_offered_ = response_offered_ || (!responses_.empty() &&
                                              now_ >= responses_.front().cycle && willing());
    top_->m_axi_bvalid = response_offered_;
    if (response_offered_) top_->m_axi_bresp = responses_.front().code;
  }

  void sample() {
    if (!top_->rst_ni) return;
    for (int module = 0; module < 3; ++module) {
      if (top_->retire_o >> module & 1) retired_[module].push_back(now_);
    }
    // A launch is visible one cycle later, and so is the interrupt's fall.
    interrupt_ = top_->irq_o && now_ > 1;

    if (top_->m_axi_rvalid && top_->m_axi_rready) {
      read_offered_ = false;
      Burst& burst = reads_.front();
      burst.address += kBeat;
      if (--burst.beats == 0) {
        reads_.pop_front();
        read_free_ = now_ + 1;
        read_timed_ = false;
      }
    }
    read_address_.follow(*this, top_->m_axi_arvalid, top_->m_axi_arready, top_->m_axi_araddr,
                         top_->m_axi_arlen);
    if (top_->m_axi_arvalid && top_->m_axi_arready) {
      reads_.push_back(request(top_->m_axi_araddr, top_->m_axi_arlen, top_->m_axi_arsize,
                               top_->m_axi_arburst));
    }
    if (top_->m_axi_bvalid && top_->m_axi_bready) {
      response_offered_ = false;
      responses_.pop_front();
    }
    write_address_.follow(*this, top_->m_axi_awvalid, top_->m_axi_awready, top_->m_axi_awaddr,
                          top_->m_axi_awlen);
    if (top_->m_axi_awvalid && top_->m_axi_awready) {
      writes_.push_back(request(top_->m_axi_awaddr, top_->m_axi_awlen, top_->m_axi_awsize,
                                top_->m_axi_awburst));
    }
    uint64_t first_bytes;
    std::memcpy(&first_bytes, bytes_of(top_->m_axi_wdata), sizeof first_bytes);
    write_data_.follow(*this, top_->m_axi_wvalid, top_->m_axi_wready, first_bytes,
                       top_->m_axi_wstrb);
    if (top_->m_axi_wvalid) write_beat();
  }

  void write_beat() {
    if (write_stall_ != 0) --write_stall_;
    if (!top_->m_axi_wready) return;
    require(!writes_.empty(), "a beat is written before its address");
    if (writes_.empty()) return;
    Burst& burst = writes_.front();
    uint64_t strobes = top_->m_axi_wstrb;
    bool outside = false;
    copy(burst.address, [this, strobes, &outside](size_t i, uint8_t* byte) {
      if (!(strobes >> i & 1)) return;
      if (byte != nullptr) *byte = bytes_of(top_->m_axi_wdata)[i];
      outside |= byte == nullptr;
    });
    if (outside) write_code_ = kDecodeError;
    burst.address += kBeat;
    --burst.beats;
    require((burst.beats == 0) == top_->m_axi_wlast, "WLAST is not with the last beat");
    if (burst.beats == 0) {
      responses_.push_back({now_ + 1 + memory_.latency, write_code_});
      write_code_ = 0;
      writes_.pop_front();
      write_stall_ = stall(1, ++write_burst_);
    }
  }

  Burst request(uint64_t address, uint32_t length, uint32_t size, uint32_t kind) {
    uint64_t beats = uint64_t(length) + 1;
    uint64_t aligned = address & ~(kBeat - 1);
    require(kind == kIncrementing, "a burst is not incrementing");
    require(uint64_t(1) << size == kBeat, "a burst is narrower than the bus");
    require(aligned / kPage == (aligned + beats * kBeat - 1) / kPage, "a burst leaves its page");
    return {aligned, beats, now_};
  }

  // Calls `each` with every byte of a beat, null outside the image; gives the response.
  template <typename Each>
  uint32_t copy(uint64_t address, Each each) {
    bool inside = false;
    for (size_t i = 0; i < kBeat; ++i) {
      uint64_t at = address + i - memory_.base;
      bool here = at < memory_.bytes;
      inside |= here;
      each(i, here ? memory_.dram + at : nullptr);
    }
    return inside ? 0 : kDecodeError;
  }

  // Whether the memory does something now that nothing but its manners keep it from: always, or at
  // random (xorshift, Marsaglia 2003).
  bool willing() {
    if (memory_.unruly == 0) return true;
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_ >> 63;
  }

  uint64_t stall(uint32_t channel, uint64_t burst) const {
    return memory_.stall != nullptr ? memory_.stall(memory_.seed, channel, burst) : 0;
  }

  void require(bool holds, const char* what) {
    if (holds || !error_.empty()) return;
    error_ = std::string(what) + ", in cycle " + std::to_string(now_);
  }

  static constexpr uint64_t kBeat = sizeof(Vvta::m_axi_rdata);

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vvta> top_;
#if VM_TRACE_FST
  std::unique_ptr<VerilatedFstC> trace_;
#endif
  Memory memory_{};
  uint64_t now_ = 0;
  bool launching_ = false;
  bool interrupt_ = false;
  std::string error_;
  std::vector<uint64_t> retired_[3];

  std::deque<Burst> reads_;
  uint64_t read_burst_ = 0;
  // The front of `reads_`: whether it is known when its first beat is offered, and when.
  bool read_timed_ = false;
  uint64_t read_valid_ = 0;
  bool read_offered_ = false;
  uint64_t read_free_ = 0;

  std::deque<Burst> writes_;
  std::deque<Response> responses_;
  uint64_t write_burst_ = 0;
  uint64_t write_stall_ = 0;
  uint32_t write_code_ = 0;
  bool response_offered_ = false;

  Offer read_address_{}, write_address_{}, write_data_{};
  uint64_t random_ = 0;
};

}  // namespace

// An assertion fails.
void vl_stop(const char* file, int line, const char*) {
  throw Stopped{std::string("the assertion at ") + file + ":" + std::to_string(line) + " fails"};
}

// Combinational logic does not settle, for one.
void vl_fatal(const char*, int, const char*, const char* message) { throw Stopped{message}; }

extern "C" {

Model* vta_open(const char* wave) { return new Model(wave); }

void vta_reset(Model* model) { model->reset(); }

void vta_clear(Model* model) { model->clear(); }

void vta_close(Model* model) { delete model; }

bool vta_write(Model* model, uint32_t offset, uint32_t value) {
  return model->write(offset, value);
}

bool vta_read(Model* model, uint32_t offset, uint32_t* value) {
  return model->read(offset, value);
}

uint32_t vta_launch(Model* model, uint32_t offset, uint32_t value, const Memory* memory,
                    uint64_t max_cycles) {
  return model->launch(offset, value, *memory, max_cycles);
}

const char* vta_error(const Model* model) { return model->error().c_str(); }

const uint64_t* vta_retired(const Model* model, uint32_t module, uint64_t* count) {
  *count = model->retired(module).size();
  return model->retired(module).data();
}

const void* vta_memory(const Model* model, const char* path, uint64_t* bytes) {
  return model->memory(path, bytes);
}

}  // extern "C"
