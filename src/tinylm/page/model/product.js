/**
 * The product of a matrix with a vector in WebAssembly, as text (WAT, one instruction after another): four rows at
 * once,
 * four numbers of each at once. assembler.js turns it into bytes when a page opens.
 */
export const PRODUCT = `
(module
  (import "page" "memory" (memory 1))
  (func (export "multiply")
    (param $w i32)      ;; where the matrix begins, in bytes
    (param $x i32)      ;; where the vector begins
    (param $y i32)      ;; where the product goes
    (param $rows i32)   ;; a multiple of 4
    (param $bytes i32)  ;; of a row, a multiple of 16
    (local $end i32) (local $i i32) (local $b i32) (local $c i32) (local $d i32)
    (local $at v128) (local $sum_a v128) (local $sum_b v128) (local $sum_c v128) (local $sum_d v128)
    local.get $y  local.get $rows  i32.const 4  i32.mul  i32.add  local.set $end
    block $done
      loop $four_rows
        local.get $y  local.get $end  i32.ge_u  br_if $done
        local.get $w  local.get $bytes  i32.add  local.tee $b  ;; the row of $w, and those of $b, $c and $d
        local.get $bytes  i32.add  local.tee $c
        local.get $bytes  i32.add  local.set $d
        f32.const 0  f32x4.splat  local.tee $sum_a  local.tee $sum_b  local.tee $sum_c  local.set $sum_d
        i32.const 0  local.set $i
        loop $four_numbers
          local.get $x  local.get $i  i32.add  v128.load  local.set $at
          ${multiplyAdd("$w", "$sum_a")}
          ${multiplyAdd("$b", "$sum_b")}
          ${multiplyAdd("$c", "$sum_c")}
          ${multiplyAdd("$d", "$sum_d")}
          local.get $i  i32.const 16  i32.add  local.tee $i  local.get $bytes  i32.lt_u  br_if $four_numbers
        end
        ${store("$sum_a", 0)}
        ${store("$sum_b", 4)}
        ${store("$sum_c", 8)}
        ${store("$sum_d", 12)}
        local.get $y  i32.const 16  i32.add  local.set $y
        local.get $d  local.get $bytes  i32.add  local.set $w
        br $four_rows
      end
    end))`;

/**
 * Adds to a sum the products of four numbers of a row with those in $at.
 * @param {string} row
 * @param {string} sum
 */
function multiplyAdd(row, sum) {
  const product = `local.get ${row}  local.get $i  i32.add  v128.load  local.get $at  f32x4.mul`;
  return `${product}  local.get ${sum}  f32x4.add  local.set ${sum}`;
}

/**
 * Stores the sum of four numbers at a distance from $y.
 * @param {string} four
 * @param {number} distance
 */
function store(four, distance) {
  const lanes = [0, 1, 2, 3].map((lane) => `local.get ${four}  f32x4.extract_lane ${lane}`);
  const sum = `${lanes[0]}  ${lanes[1]}  f32.add  ${lanes[2]}  f32.add  ${lanes[3]}  f32.add`;
  return `local.get $y  i32.const ${distance}  i32.add  ${sum}  f32.store`;
}
