// Draws the links. Without script, or on paper, what they say stands in the titles and in the table.
(function () {
  var svg = document.getElementById('links'), paths = svg.querySelectorAll('path');
  var row = Number(svg.dataset.row), first = new Map();  // a span's first piece, by its key
  document.querySelectorAll('[data-key]').forEach(function (piece) {
    if (!first.has(piece.dataset.key)) { first.set(piece.dataset.key, piece); }
  });
  function draw() {
    var base = svg.getBoundingClientRect();
    function end(piece, box, edge, rise) {  // from a word up, and along above the small labels to `edge`
      var x = box.left + Math.min(box.width / 2, 14) - base.left, y = box.top - base.top;
      var peak = y - row * piece.closest('.line').dataset.rows - 4 - rise;
      var turn = Math.max(-4, Math.min(4, edge - x));
      return ['M', x, y, 'V', peak + 4, 'Q', x, peak, x + turn, peak, 'H', edge].join(' ');
    }
    paths.forEach(function (path) {
      var head = first.get(path.dataset.head), modifier = first.get(path.dataset.modifier);
      if (!head || !modifier) { return; }
      var h = head.getClientRects()[0], m = modifier.getClientRects()[0], below = h.top - m.top;
      var middle = (h.left + m.left) / 2 - base.left, rise = Math.min(16, Math.sqrt(Math.abs(h.left - m.left)) * 0.65);
      var level = Math.abs(below) < 9;  // else out at the right of one line, and in at the left of the other
      path.setAttribute('d',
        end(head, h, level ? middle : below > 0 ? 0 : base.width, level ? rise : 16) + ' ' +
        end(modifier, m, level ? middle : below > 0 ? base.width : 0, level ? rise : 16));
    });
  }
  document.addEventListener('mouseover', function (event) {
    for (var keys = [], piece = event.target; piece; piece = piece.parentElement) { keys.push(piece.dataset.key); }
    paths.forEach(function (path) {
      path.classList.toggle('on', keys.includes(path.dataset.head) || keys.includes(path.dataset.modifier));
    });
  });
  window.addEventListener('resize', draw);
  draw();
})();
