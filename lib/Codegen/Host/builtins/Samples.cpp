// Entries of models that compute each sample of a batch from that sample alone: their code runs
// with a batch of one, for one sample after the other, and for several side by side where there are
// threads. Which samples meet on a thread changes no result.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "lathe/SampleValues.h"

using namespace lathe;
using namespace lathe::builtins;

namespace {

/// The model's code for any batch, or for a batch of one where the model takes a fixed `count` of
/// samples (else 0), and what is known of its values, inputs first.
struct Model {
  lathe_run_fn run;
  lathe_plan_fn plan;
  const SampleValue *values;
  u32 inputCount, outputCount;
  i64 leastSize, count;

  bool hasSamples(u32 value) const { return values[value].elementBytes != 0; }
};

u64 headBytes(const Model &model) { return sampleHeadBytes(model.inputCount + model.outputCount); }

/// How many samples there are, where they are run apart; else 1.
i64 countSamples(const lathe_call &call, const Model &model) {
  if (model.count)
    return model.count;
  i64 samples = 1;
  for (u32 i = 0; i < model.inputCount; ++i) {
    const lathe_value &input = call.inputs[i];
    if (model.hasSamples(i))
      samples = input.dims[0];
    for (u32 d = 0; d < input.rank; ++d)
      if (model.values[i].openDims >> d & 1 && input.dims[d] < model.leastSize)
        return 1;
  }
  return samples > 1 ? samples : 1;
}

/// A call for one sample, without its data.
lathe_call describeSample(const lathe_call &whole, const Model &model, lathe_value *values) {
  for (u32 i = 0; i < model.inputCount; ++i) {
    values[i] = whole.inputs[i];
    if (model.hasSamples(i))
      values[i].dims[0] = 1;
  }
  for (u32 i = 0; i < model.outputCount; ++i)
    values[model.inputCount + i] = whole.outputs[i];
  lathe_call call = whole;
  call.flags = 0;
  call.inputs = values;
  call.outputs = values + model.inputCount;
  return call;
}

/// Plans one sample. `isPart` tells whether the outputs are as many times as large as there are
/// samples, which a batch's must be to be written sample by sample.
int planSample(const lathe_call &whole, const Model &model, i64 samples, u64 &arenaBytes,
               bool &isPart) {
  lathe_value values[mostSampleValues];
  lathe_call call = describeSample(whole, model, values);
  lathe_plan plan = {};
  if (int code = model.plan(&call, &plan))
    return code;
  arenaBytes = plan.arena_bytes;
  isPart = call.flags == 0;
  for (u32 i = 0; i < model.outputCount; ++i)
    for (u32 d = 0; d < whole.outputs[i].rank; ++d)
      isPart &= call.outputs[i].dims[d] >= 0 &&
                call.outputs[i].dims[d] * (d == 0 ? samples : 1) == whole.outputs[i].dims[d];
  return LATHE_CODE_OK;
}

/// What the whole batch gives, where the code is for one sample.
int planOutputs(lathe_call &whole, const Model &model) {
  lathe_value values[mostSampleValues];
  lathe_call call = describeSample(whole, model, values);
  lathe_plan plan = {};
  if (int code = model.plan(&call, &plan))
    return code;
  for (u32 i = 0; i < model.outputCount; ++i) {
    whole.outputs[i] = call.outputs[i];
    whole.outputs[i].dims[0] *= model.count;
  }
  return LATHE_CODE_OK;
}

i64 countThreads(lathe_call *call) {
  return call->services->threads ? call->services->threads(call) : 1;
}

/// The run of a batch.
struct Batch {
  lathe_call *whole;
  const Model *model;
  i64 samples, lanes;
  u64 laneBytes;
  int code; ///< of the first sample that failed

  SampleLane *lane(i64 index) const {
    return reinterpret_cast<SampleLane *>(whole->arena + index * laneBytes);
  }
};

SampleLane *takeLane(const Batch &batch) {
  // There are as many as threads, so that one is free.
  for (i64 i = 0;; i = i + 1 < batch.lanes ? i + 1 : 0)
    if (!__atomic_exchange_n(&batch.lane(i)->isTaken, 1, __ATOMIC_ACQUIRE))
      return batch.lane(i);
}

int runSample(const Batch &batch, SampleLane *lane, i64 sample) {
  lathe_call *whole = batch.whole;
  const Model &model = *batch.model;
  if (whole->services->poll)
    if (int code = whole->services->poll(whole))
      return code;
  auto *values = reinterpret_cast<lathe_value *>(lane + 1);
  lane->call = describeSample(*whole, model, values);
  lane->call.arena = reinterpret_cast<char *>(lane) + headBytes(model);
  lane->call.arena_bytes = batch.laneBytes - headBytes(model);
  for (u32 i = 0; i < model.inputCount + model.outputCount; ++i) {
    if (!model.hasSamples(i))
      continue;
    lathe_value &value = values[i];
    if (i >= model.inputCount)
      value.dims[0] /= batch.samples;
    i64 bytes = model.values[i].elementBytes;
    for (u32 d = 0; d < value.rank; ++d)
      bytes *= value.dims[d];
    value.data = static_cast<char *>(value.data) + sample * bytes;
  }
  return model.run(&lane->call);
}

void runSamples(const uint64_t *args, int64_t begin, int64_t end) {
  auto &batch = *reinterpret_cast<Batch *>(args[0]);
  SampleLane *lane = takeLane(batch);
  for (i64 sample = begin; sample < end && !__atomic_load_n(&batch.code, __ATOMIC_RELAXED);
       ++sample)
    if (int code = runSample(batch, lane, sample)) {
      int none = LATHE_CODE_OK;
      __atomic_compare_exchange_n(&batch.code, &none, code, false, __ATOMIC_RELAXED,
                                  __ATOMIC_RELAXED);
    }
  __atomic_store_n(&lane->isTaken, 0, __ATOMIC_RELEASE);
}

} // namespace

LATHE_BUILTIN int lathe_samples_plan(lathe_call *call, lathe_plan *plan, lathe_run_fn run,
                                     lathe_plan_fn planAny, const SampleValue *values,
                                     u32 inputCount, u32 outputCount, i64 leastSize, i64 count) {
  Model model = {run, planAny, values, inputCount, outputCount, leastSize, count};
  if (int code = count ? planOutputs(*call, model) : planAny(call, plan))
    return code;
  i64 samples = countSamples(*call, model), lanes = countThreads(call);
  if (samples == 1)
    return LATHE_CODE_OK;
  u64 bytes = 0;
  bool isPart = false;
  if (int code = planSample(*call, model, samples, bytes, isPart))
    return code;
  if (isPart)
    plan->arena_bytes =
        u64(samples < lanes ? samples : lanes) * (headBytes(model) + alignSampleBytes(bytes));
  return LATHE_CODE_OK;
}

LATHE_BUILTIN int lathe_samples_run(lathe_call *call, lathe_run_fn run, lathe_plan_fn planAny,
                                    const SampleValue *values, u32 inputCount, u32 outputCount,
                                    i64 leastSize, i64 count) {
  Model model = {run, planAny, values, inputCount, outputCount, leastSize, count};
  i64 samples = countSamples(*call, model), threads = countThreads(call);
  if (samples == 1)
    return run(call);
  u64 bytes = 0;
  bool isPart = false;
  if (int code = planSample(*call, model, samples, bytes, isPart))
    return code;
  if (!isPart)
    return count ? LATHE_CODE_SIZE : run(call);
  Batch batch = {call,
                 &model,
                 samples,
                 samples < threads ? samples : threads,
                 headBytes(model) + alignSampleBytes(bytes),
                 LATHE_CODE_OK};
  if (call->arena_bytes < u64(batch.lanes) * batch.laneBytes)
    return LATHE_CODE_MEMORY;
  for (i64 i = 0; i < batch.lanes; ++i)
    batch.lane(i)->isTaken = 0;
  // The last samples, where they are too few for the threads, are shared out each; so are all of
  // them where kernels are traced, one after the other.
  i64 rest = samples % threads, apart = rest <= threads / 2 ? samples - rest : samples;
  if (*call->cancel)
    apart = 0;
  uint64_t args[] = {reinterpret_cast<uint64_t>(&batch)};
  if (apart)
    call->services->parallel(call, runSamples, args, apart, 1);
  for (i64 sample = apart; sample < samples && !batch.code; ++sample)
    runSamples(args, sample, sample + 1);
  return batch.code;
}
