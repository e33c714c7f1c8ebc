// Subscribers for the demo, as `binnacle import --surface assinante` takes them.

const address = {
  street: 'Rua das Flores', number: '123', complement: 'Apto 45', neighborhood: 'Centro', city: 'Caratinga',
  state: 'MG', zipCode: '35300-000',
};
const months = ['Janeiro', 'Fevereiro', 'Março', 'Abril', 'Maio', 'Junho', 'Julho', 'Agosto', 'Setembro', 'Outubro',
  'Novembro', 'Dezembro'];

/// Maria, who has paid for all months but the present one, and Pedro, who has cancelled; JSON lines.
export function demoSubscribers(now = new Date()) {
  const monthly = (back, day, time = '00:00:00') =>
    `${new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, day)).toISOString().slice(0, 10)}T${time}.000Z`;
  const dayOf = (moment) => moment.slice(0, 10);
  const rows = [
    { kind: 'subscriber', email: 'maria@demo.example', name: 'Maria Silva', phone: '5533999898026', cpf: '123.456.789-09',
      birthDate: '1990-05-15', address, createdAt: monthly(9, 15, '10:30:00') },
    { kind: 'subscription', id: 'sub_maria', email: 'maria@demo.example', planName: 'Plano Mensal Premium', status: 'active',
      price: 89.9, startDate: dayOf(monthly(0, 1)), renewalDate: dayOf(monthly(-1, 1)), paymentMethod: 'credit_card',
      paymentMethodLast4: '4242', shippingAddress: address, createdAt: monthly(9, 15, '10:30:00'),
      benefits: [
        { id: 'ben_1', name: 'Lentes Mensais', description: '6 caixas por mês', icon: '📦', type: 'PRODUCT', quantityTotal: 6,
          quantityUsed: 2, expirationDate: null },
      ] },
    { kind: 'subscriber', email: 'pedro@demo.example', name: 'Pedro Gonçalves', createdAt: monthly(6, 2, '09:00:00') },
    { kind: 'subscription', id: 'sub_pedro', email: 'pedro@demo.example', planName: 'Plano Mensal', status: 'cancelled', price: 59.9,
      startDate: dayOf(monthly(6, 2)), renewalDate: dayOf(monthly(3, 2)), paymentMethod: 'pix', createdAt: monthly(6, 2, '09:00:00') },
  ];
  const item = { id: 'item_1', productName: 'Lentes de Contato Diárias', quantity: 6, unitPrice: 14.98, totalPrice: 89.88 };
  const order = (n, back, more) => ({ kind: 'order', id: `ord_maria_${n}`, subscriptionId: 'sub_maria',
    orderNumber: `SV-${monthly(back, 1).slice(0, 4)}-00123${3 + n}`, totalAmount: 89.9, items: [item], shippingAddress: address,
    trackingCode: `BR${123456788 + n}MG`, createdAt: monthly(back, 2, '08:00:00'), ...more });
  rows.push(
    order(1, 1, { status: 'DELIVERED', shippedAt: monthly(1, 3, '10:00:00'), deliveredAt: monthly(1, 6, '14:30:00') }),
    order(2, 0, { status: 'SHIPPED', shippedAt: monthly(0, 3, '10:00:00') }),
  );
  for (let back = 8; back >= 0; --back) {
    const due = monthly(back, 1);
    const [year, month] = due.split('-');
    rows.push({ kind: 'invoice', id: `inv_maria_${9 - back}`, subscriptionId: 'sub_maria',
      invoiceNumber: `NF-${year}-${month}-00${9 - back}`, status: back > 0 ? 'PAID' : 'PENDING', amount: 89.9,
      description: `Assinatura Mensal - ${months[month - 1]} ${year}`, dueDate: dayOf(due),
      paidAt: back > 0 ? monthly(back, 1, '10:15:00') : null, paymentMethod: 'credit_card', createdAt: monthly(back + 1, 25) });
  }
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
