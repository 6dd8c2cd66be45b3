"""What is said of recurrence and attention, as claims that are measured: the table of all claims."""

from __future__ import annotations

from sightline.lab.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1",
        "A recurrent network needs n serial steps for n positions; attention needs a number of matrix operations that "
        "does not grow with n.",
        "The longest chain of dependent operations by n, counted on the executed graph, for every mechanism.",
        "serial:serial_steps",
    ),
    Claim(
        "C2",
        "Processing 1000 tokens through an RNN on a GPU takes about as long as one token, with more overhead.",
        "The time of 1000 positions over the time of one, for every mechanism and device.",
        "thousand_tokens:thousand_tokens",
    ),
    Claim(
        "C3",
        "A 512-token sequence takes a Transformer a fraction of an LSTM's time.",
        "Time of a forward pass and of a training step at equal parameters by length, per device, with the crossover.",
        "transformer_lstm:transformer_and_lstm",
    ),
    Claim(
        "C4",
        "Self-attention costs quadratically in time and memory; RNNs linearly.",
        "Fitted exponents of time and of peak memory, of attention with and without its weights in memory.",
        "exponents:quadratic_cost",
    ),
    Claim(
        "C5",
        "Sparse and linear attention lift the quadratic limit.",
        "The same exponents; the length from which each is faster than dense attention, predicted and then checked.",
        "exponents:light_attention",
    ),
    Claim(
        "C6",
        "A fixed-size state must lose information: a 256–512-number vector cannot hold a document's facts.",
        "Accuracy of associative recall by the number of facts, with states of 256 to 512 numbers; stored bits.",
        "fixed_state:fixed_state",
    ),
    Claim(
        "C7",
        "An encoder–decoder without attention loses the beginning of long sentences; with attention it does not.",
        "Quality by source length, trained on the same data, without and with attention.",
        "long_sentences:long_sentences",
    ),
    Claim(
        "C8",
        "In a vanilla RNN gradients vanish when the largest singular value of the recurrent matrix is below one and "
        "explode above; dependencies beyond 10–20 steps are not learned.",
        "The norm of ∂h(t)/∂h(t-k) by k and by the largest singular value; the adding problem by length.",
        "vanishing:vanishing_gradients",
    ),
    Claim(
        "C9",
        "LSTMs learn dependencies over 100 to 1000 steps; the additive cell state is why.",
        "Adding and copying over 100 to 1000 steps, with and without the forget gate; gradients through c and h.",
        "lstm_memory:lstm_memory",
    ),
    Claim(
        "C10",
        "A GRU does about as well as an LSTM with fewer parameters.",
        "Runs at equal width and at equal parameters, several seeds, paired intervals.",
        "gru_lstm:gru_and_lstm",
    ),
    Claim(
        "C11",
        "A bidirectional LSTM doubles the computation and sees both sides.",
        "Time and parameters; accuracy on a task whose answer stands to the right.",
        "both_sides:both_sides",
    ),
    Claim(
        "C12",
        "With attention any position is one step from any other, so the gradient does not decay with distance.",
        "The norm of the gradient of the input by distance, at initialisation and after training; the context used.",
        "distance:gradient_by_distance",
    ),
    Claim(
        "C13",
        "Without 1/√d_k the softmax saturates and its gradient dies.",
        "Entropy, largest weight and gradient of the softmax by d_k, scaled and unscaled; training with and without.",
        "scaled_logits:scaled_logits",
    ),
    Claim(
        "C14",
        "Different heads specialise: previous token, syntax, long-range, rare.",
        "Scores of each head, agreement with dependency arcs against a positional baseline, ablation of each head.",
        "head_roles:head_roles",
    ),
    Claim(
        "C15",
        "Several heads do better than one.",
        "1, 2, 4, 8 and 16 heads at equal parameters, several seeds.",
        "head_counts:head_counts",
    ),
    Claim(
        "C16",
        "Attention weights can be read as a map of what mattered.",
        "Rank correlation with gradients and with leaving tokens out, on tasks whose causal tokens are planted.",
        "attention_maps:attention_maps",
    ),
    Claim(
        "C17",
        "The residual stream, normalisation and feed-forward layers matter too: attention is a component, not a "
        "window into reasoning.",
        "Each is removed; raw attention, rollout and value-weighted norms against the causal effect.",
        "components:components",
    ),
    Claim(
        "C18",
        "Attention scaled: loss keeps falling with size and data where recurrence flattens.",
        "Loss by parameters over a ladder of sizes at equal tokens, with fitted power laws and their difference.",
        "size_ladder:size_ladder",
    ),
    Claim(
        "C19",
        "Each position reads the whole sequence in both directions (encoder), where a left-to-right network sees only "
        "its past.",
        "The influence of every position on every other, for RNN, BiLSTM, causal and full attention.",
        "influence:influence_maps",
    ),
    Claim(
        "C20",
        "Most modern architectures use both self- and cross-attention.",
        "The encoder–decoder with each removed.",
        "cross_self:cross_and_self",
    ),
)
